//! Where to cut a stream into pieces: a fixed sequence for each seed.

/// Yields the lengths of pieces, mostly short ones.
pub struct Chop {
    state: u32,
}

impl Chop {
    /// Takes the seed from the first two bytes of the input and returns the rest of it; none if it is too short.
    pub fn split(input: &[u8]) -> Option<(Self, &[u8])> {
        let (seed, rest) = input.split_first_chunk::<2>()?;
        Some((Self { state: u32::from(u16::from_le_bytes(*seed)) }, rest))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        // Numerical Recipes' linear congruence; its upper half is random enough to choose where to cut.
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.state >> 16) as usize % bound.max(1)
    }

    /// The length of the next piece of a stream of which `left` bytes are left, at least one and at most all.
    pub fn piece(&mut self, left: usize) -> usize {
        let longest = match self.below(4) {
            0 => 1,
            1 => 8,
            2 => 200,
            _ => left,
        };
        (1 + self.below(longest)).min(left)
    }
}
