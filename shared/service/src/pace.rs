//! Scheduling points in loops over resources.
//!
//! A future is polled until it waits for something. A long computation therefore delays every other request of the process,
//! and its own deadline is not noticed. Loops over resources, attributes or operations yield from time to time.

use tokio::{
    task::yield_now,
    time::{Duration, Instant},
};

/// The longest time between two scheduling points.
const LONGEST: Duration = Duration::from_millis(5);

/// The time since the last scheduling point of a loop.
pub(crate) struct Pace(Instant);

impl Pace {
    /// Starts a loop.
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    /// Yields if the last scheduling point was long ago. The request may end there, because its time is over.
    pub(crate) async fn step(&mut self) {
        if self.0.elapsed() >= LONGEST {
            yield_now().await;
            self.0 = Instant::now();
        }
    }
}
