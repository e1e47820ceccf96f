//! Median and spread of a few runs, and of the ratios between runs of the same round. Pure arithmetic.

use serde::{Deserialize, Serialize};

/// The middle of some numbers and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of some finite numbers; none of no numbers.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.into_iter().filter(|number| number.is_finite()).collect();
        numbers.sort_by(f64::total_cmp);
        let (min, max) = (*numbers.first()?, *numbers.last()?);
        let middle = numbers.len() / 2;
        let median =
            if numbers.len() % 2 == 1 { numbers[middle] } else { f64::midpoint(numbers[middle - 1], numbers[middle]) };
        Some(Self { median, min, max })
    }

    /// Of the quotients of numbers that belong to the same round. A round that lacks one of them counts for nothing.
    pub(crate) fn of_ratios(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Option<Self> {
        let pairs = ours.iter().zip(theirs).filter_map(|(&ours, &theirs)| ours.zip(theirs));
        Self::of(pairs.filter(|&(_, theirs)| theirs > 0.0).map(|(ours, theirs)| ours / theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of([7.0]), Some(Spread { median: 7.0, min: 7.0, max: 7.0 }));
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN, 1.0]).map(|spread| spread.max), Some(1.0));
    }

    #[test]
    fn ratios_pair_the_rounds_and_skip_the_incomplete() {
        let spread = Spread::of_ratios(&[Some(2.0), None, Some(9.0)], &[Some(1.0), Some(5.0), Some(3.0)]);
        assert_eq!(spread, Some(Spread { median: 2.5, min: 2.0, max: 3.0 }));
        assert_eq!(Spread::of_ratios(&[Some(1.0)], &[None]), None);
        assert_eq!(Spread::of_ratios(&[Some(1.0)], &[Some(0.0)]), None);
    }
}
