//! Style sheets and scripts. Their path has a digest of their contents, so browsers keep them.

use axum::{
    Router,
    extract::{Path, State},
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing,
};
use service::portal::Portal;
use sha2::{Digest, Sha256};

use crate::{
    Console,
    page::{Frame, Refusal, refusal},
};

const STYLE: &str = include_str!("../assets/console.css");
const SCRIPT: &str = include_str!("../assets/console.js");
const HTMX: &str = include_str!("../assets/htmx.min.js");
const ICON: &str = include_str!("../assets/icon.svg");

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// The length of the digest in the path, in hexadecimal digits.
const VERSION_DIGITS: usize = 16;

/// The files of the console, with the vendor's colour.
pub(crate) struct Assets {
    brand: String,
    /// The digest of all files.
    pub(crate) version: String,
}

impl Assets {
    pub(crate) fn new(portal: &Portal) -> Self {
        let brand = brand(portal.accent.as_deref());
        let mut digest = Sha256::new();
        for file in [STYLE, SCRIPT, HTMX, ICON, &brand] {
            digest.update(file);
        }
        let version = hex::encode(digest.finalize()).chars().take(VERSION_DIGITS).collect();
        Self { brand, version }
    }
}

/// Returns the style sheet with the accent colour. A colour that is no `#rrggbb` is ignored. Text on the accent is black or
/// white, whichever has more contrast. The accent as text is darkened, or lightened in the dark scheme, until its contrast
/// is at least 4.5 (WCAG 2.2, 1.4.3).
fn brand(accent: Option<&str>) -> String {
    let Some(accent) = accent.and_then(Colour::parse) else { return String::new() };
    let on_accent =
        if accent.contrast(Colour::BLACK) > accent.contrast(Colour::WHITE) { "#000" } else { "#fff" };
    let light = accent.towards(Colour::BLACK, Colour([0xf6, 0xf7, 0xf9])).css();
    let dark = accent.towards(Colour::WHITE, Colour([0x23, 0x28, 0x31])).css();
    let accent = accent.css();
    format!(
        ":root {{ --accent: {accent}; --on-accent: {on_accent}; --accent-text: {light}; }}\n\
         @media (prefers-color-scheme: dark) {{ :root {{ --accent: {accent}; --on-accent: {on_accent}; --accent-text: {dark}; }} }}\n"
    )
}

/// A colour in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Colour([u8; 3]);

impl Colour {
    const BLACK: Self = Self([0; 3]);
    const WHITE: Self = Self([255; 3]);
    /// The least contrast of text.
    const READABLE: f64 = 4.5;

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 3];
        hex::decode_to_slice(text.strip_prefix('#')?, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    fn css(self) -> String {
        format!("#{}", hex::encode(self.0))
    }

    /// Returns the relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|channel| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// Returns the contrast ratio (WCAG 2.2), from 1 to 21.
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// Moves the colour towards black or white until it is readable on the background.
    fn towards(self, end: Self, background: Self) -> Self {
        let mut colour = self;
        for _ in 0..32 {
            if colour.contrast(background) >= Self::READABLE {
                return colour;
            }
            let mut next = colour.0;
            for (channel, target) in next.iter_mut().zip(end.0) {
                *channel =
                    if target > *channel { channel.saturating_add(8) } else { channel.saturating_sub(8) };
            }
            colour = Self(next);
        }
        end
    }
}

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/console/assets/{version}/{file}", routing::get(file))
}

async fn file(
    State(console): State<Console>,
    frame: Frame,
    Path((version, name)): Path<(String, String)>,
) -> Response {
    let (media_type, text) = match name.as_str() {
        "console.css" => (CSS, STYLE.to_owned()),
        "brand.css" => (CSS, console.assets.brand.clone()),
        "console.js" => (JS, SCRIPT.to_owned()),
        "htmx.min.js" => (JS, HTMX.to_owned()),
        "icon.svg" => ("image/svg+xml", ICON.to_owned()),
        _ => return refusal(&frame, Refusal::NotFound),
    };
    // A page of an older release asks for another version, which a cache must not keep under this path.
    let caching =
        if version == console.assets.version { "public, max-age=31536000, immutable" } else { "no-store" };
    ([(CONTENT_TYPE, media_type), (CACHE_CONTROL, caching)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accent_is_readable_as_text_and_below_text() {
        for accent in ["#ffe000", "#000000", "#ffffff", "#0a84ff", "#7f7f7f", "#ff0000"] {
            let accent = Colour::parse(accent).expect("a colour");
            let (light, dark) = (Colour([0xf6, 0xf7, 0xf9]), Colour([0x23, 0x28, 0x31]));
            assert!(accent.towards(Colour::BLACK, light).contrast(light) >= Colour::READABLE, "{accent:?}");
            assert!(accent.towards(Colour::WHITE, dark).contrast(dark) >= Colour::READABLE, "{accent:?}");
            let on = accent.contrast(Colour::BLACK).max(accent.contrast(Colour::WHITE));
            assert!(on >= Colour::READABLE, "{accent:?}");
        }
    }

    #[test]
    fn text_that_is_no_colour_is_ignored() {
        for text in ["red", "#fff", "#12345g", "#123456; } body { display: none", ""] {
            assert_eq!(brand(Some(text)), "", "{text}");
        }
    }
}
