//! The settings of an organisation.

use std::ops::RangeInclusive;

use scim::Invalid;

/// The settings of an organisation. An organisation that was created without one has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The lifetime of an access token in minutes.
    pub token_minutes: u32,
    /// The requests per second that the organisation may send for any length of time.
    pub rate: u32,
    /// The requests that the organisation may send at once before `rate` applies.
    pub burst: u32,
    /// The expensive requests that the organisation may have in progress at the same time.
    pub at_once: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { token_minutes: 60, rate: 50, burst: 200, at_once: 4 }
    }
}

impl Settings {
    /// The lifetimes of an access token that Microsoft accepts, in minutes.
    pub const TOKEN_MINUTES: RangeInclusive<u32> = 5..=360;
    /// The values of `rate`.
    pub const RATE: RangeInclusive<u32> = 1..=100_000;
    /// The values of `burst`.
    pub const BURST: RangeInclusive<u32> = 1..=1_000_000;
    /// The values of `at_once`.
    pub const AT_ONCE: RangeInclusive<u32> = 1..=1_000;

    /// Checks that each setting is in its range.
    ///
    /// # Errors
    /// The first setting that is not.
    pub fn check(&self) -> Result<(), Invalid> {
        for (name, value, range) in [
            ("tokenMinutes", self.token_minutes, Self::TOKEN_MINUTES),
            ("rate", self.rate, Self::RATE),
            ("burst", self.burst, Self::BURST),
            ("atOnce", self.at_once, Self::AT_ONCE),
        ] {
            if !range.contains(&value) {
                let (low, high) = range.into_inner();
                return Err(Invalid::value(format!(
                    "The setting {name} must be a number from {low} to {high}."
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range() {
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn setting_out_of_range_is_refused_by_name() {
        let default = Settings::default();
        for (name, settings) in [
            ("tokenMinutes", Settings { token_minutes: 4, ..default }),
            ("tokenMinutes", Settings { token_minutes: 361, ..default }),
            ("rate", Settings { rate: 0, ..default }),
            ("burst", Settings { burst: 0, ..default }),
            ("atOnce", Settings { at_once: 0, ..default }),
        ] {
            assert!(settings.check().expect_err("an error").to_string().contains(name), "{settings:?}");
        }
    }
}
