//! What balancers are told who ask whether to send more clients here. It only knows what it was told.

use shard::Pressure;

/// What speaks against more clients.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    is_leaving: bool,
    pressure: Pressure,
}

impl Readiness {
    /// The server is about to stop; it does not change its mind.
    pub(super) const fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// The process's memory was measured.
    pub(super) const fn handle_pressure(&mut self, pressure: Pressure) {
        self.pressure = pressure;
    }

    /// The status and the text of the answer.
    pub(super) const fn answer(&self) -> (u16, &'static str) {
        match (self.is_leaving, self.pressure) {
            (true, _) => (503, "leaving\n"),
            (false, Pressure::None) => (200, "ready\n"),
            (false, Pressure::Full | Pressure::Over) => (503, "short of memory\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_again_when_there_is_memory_again_but_not_when_it_leaves() {
        let mut readiness = Readiness::default();
        assert_eq!(readiness.answer().0, 200);
        for (pressure, status) in [(Pressure::Full, 503), (Pressure::Over, 503), (Pressure::None, 200)] {
            readiness.handle_pressure(pressure);
            assert_eq!(readiness.answer().0, status, "{pressure:?}");
        }
        readiness.leave();
        readiness.handle_pressure(Pressure::Full);
        readiness.handle_pressure(Pressure::None);
        assert_eq!(readiness.answer(), (503, "leaving\n"));
    }
}
