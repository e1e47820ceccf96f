//! How something grows: the straight line that fits readings best (least squares).

use serde::Serialize;

/// A line through readings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Trend {
    /// Units for each unit of time; of a soak, for each hour.
    pub(super) slope: f64,
    /// The slope's standard error: what chance alone makes of it, two times in three.
    pub(super) error: f64,
    pub(super) readings: usize,
}

/// Fewer readings fit any line.
const READINGS_MIN: usize = 3;

impl Trend {
    /// Of (time, value); none of fewer than three.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn of(readings: &[(f64, f64)]) -> Option<Self> {
        if readings.len() < READINGS_MIN {
            return None;
        }
        let count = readings.len() as f64;
        let mean = |value: fn(&(f64, f64)) -> f64| readings.iter().map(value).sum::<f64>() / count;
        let (time, value) = (mean(|reading| reading.0), mean(|reading| reading.1));
        let (mut across, mut along, mut up) = (0.0, 0.0, 0.0);
        for (at, found) in readings {
            across += (at - time) * (found - value);
            along += (at - time).powi(2);
            up += (found - value).powi(2);
        }
        if along == 0.0 {
            return None;
        }
        let slope = across / along;
        // What the line leaves unexplained, by degree of freedom. Rounding may make it a little less than nothing.
        let unexplained = (up - slope * across).max(0.0) / (count - 2.0);
        Some(Self { slope, error: (unexplained / along).sqrt(), readings: readings.len() })
    }

    /// Whether that much would hardly ever be chance: more than three standard errors.
    pub(super) fn is_significant(&self) -> bool {
        self.slope.abs() > 3.0 * self.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_is_found_exactly() {
        let readings: Vec<_> = (0..10).map(|minute| (f64::from(minute), 1e6 + 2_048.0 * f64::from(minute))).collect();
        let trend = Trend::of(&readings).expect("enough readings");
        assert!((trend.slope - 2_048.0).abs() < 1e-6 && trend.is_significant(), "{trend:?}");
    }

    #[test]
    fn what_goes_up_and_down_has_no_slope() {
        let readings: Vec<_> = (0..100).map(|at| (f64::from(at), if at % 2 == 0 { 5.0 } else { 7.0 })).collect();
        let trend = Trend::of(&readings).expect("enough readings");
        assert!(trend.slope.abs() < 0.01 && !trend.is_significant(), "{trend:?}");
        let level = Trend::of(&[(0.0, 3.0), (1.0, 3.0), (2.0, 3.0)]).expect("enough readings");
        assert!(level.slope == 0.0 && !level.is_significant(), "{level:?}");
    }

    #[test]
    fn two_readings_are_no_trend() {
        assert_eq!(Trend::of(&[(0.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(Trend::of(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]), None);
    }
}
