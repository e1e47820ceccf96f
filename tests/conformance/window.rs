//! How far back a DEFLATE stream refers (RFC 1951): the one thing about a window that inflating with a larger one does not
//! show. It follows the blocks and their codes, and never puts anything together.

/// The longest distance in a message's blocks, which end with the bytes.
pub(crate) fn longest_distance(blocks: &[u8]) -> Result<usize, String> {
    let mut bits = Bits { bytes: blocks, at: 0 };
    let mut longest = 0;
    while bits.at < blocks.len() * 8 {
        let is_last = bits.take(1)? == 1;
        let distance = match bits.take(2)? {
            0 => bits.stored()?,
            1 => bits.codes(&Code::new(&fixed_lengths()), &Code::new(&[5; 30]))?,
            2 => {
                let (literals, distances) = bits.dynamic()?;
                bits.codes(&literals, &distances)?
            }
            _ => return Err("a block of no kind".to_owned()),
        };
        longest = longest.max(distance);
        if is_last {
            return Err("a last block where none is needed".to_owned());
        }
    }
    Ok(longest)
}

/// The stream, bit by bit.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A canonical Huffman code: how many symbols have each length, and the symbols in order.
struct Code {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|length| counts[usize::from(*length)] += 1);
        let mut symbols =
            Vec::from_iter((0..).zip(lengths).filter(|(_, length)| **length > 0).map(|(symbol, _)| symbol));
        symbols.sort_by_key(|symbol: &u16| lengths[usize::from(*symbol)]);
        counts[0] = 0;
        Self { counts, symbols }
    }
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Result<u32, String> {
        let mut value = 0;
        for index in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or("the end inside a block")?;
            value |= u32::from(byte >> (self.at % 8) & 1) << index;
            self.at += 1;
        }
        Ok(value)
    }

    fn symbol(&mut self, code: &Code) -> Result<usize, String> {
        let (mut word, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            word |= i32::try_from(self.take(1)?).expect("one bit");
            let count = i32::from(*count);
            if word - count < first {
                let place = usize::try_from(index + word - first).expect("within the code");
                return Ok(usize::from(code.symbols[place]));
            }
            index += count;
            first = (first + count) << 1;
            word <<= 1;
        }
        Err("a code of nothing".to_owned())
    }

    fn stored(&mut self) -> Result<usize, String> {
        self.at = self.at.next_multiple_of(8);
        let (length, inverse) = (self.take(16)?, self.take(16)?);
        if length ^ inverse != 0xffff {
            return Err("a stored block that contradicts itself".to_owned());
        }
        self.at += length as usize * 8;
        Ok(0)
    }

    fn dynamic(&mut self) -> Result<(Code, Code), String> {
        let (literals, distances) = (self.take(5)? as usize + 257, self.take(5)? as usize + 1);
        let mut lengths = [0; 19];
        for place in 0..self.take(4)? as usize + 4 {
            lengths[ORDER[place]] = u8::try_from(self.take(3)?).expect("three bits");
        }
        let code = Code::new(&lengths);
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (value, times) = match self.symbol(&code)? {
                16 => (*lengths.last().ok_or("nothing to repeat")?, 3 + self.take(2)?),
                17 => (0, 3 + self.take(3)?),
                18 => (0, 11 + self.take(7)?),
                length => (u8::try_from(length).expect("below 16"), 1),
            };
            lengths.extend((0..times).map(|_| value));
        }
        Ok((Code::new(&lengths[..literals]), Code::new(&lengths[literals..])))
    }

    fn codes(&mut self, literals: &Code, distances: &Code) -> Result<usize, String> {
        let mut longest = 0;
        loop {
            match self.symbol(literals)? {
                0..256 => {}
                256 => return Ok(longest),
                symbol => {
                    let extra = match symbol - 257 {
                        0..8 | 28 => 0,
                        place => (place - 4) / 4,
                    };
                    self.take(u32::try_from(extra).expect("at most 5"))?;
                    let symbol = self.symbol(distances)?;
                    let extra = u32::try_from(symbol.saturating_sub(2) / 2).expect("at most 13");
                    let base = if symbol < 4 { symbol } else { (2 + symbol % 2) << extra };
                    longest = longest.max(1 + base + self.take(extra)? as usize);
                }
            }
        }
    }
}

fn fixed_lengths() -> [u8; 288] {
    std::array::from_fn(|symbol| match symbol {
        0..144 => 8,
        144..256 => 9,
        256..280 => 7,
        _ => 8,
    })
}

/// The order in which the lengths of the lengths' code stand.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
