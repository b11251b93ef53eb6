//! The bytes that connections send: each its own endless stream, of which any piece can be had without computing it.

/// The streams repeat after this many bytes. A prime, so that no chunk size hides an offset error.
const PERIOD: usize = 65_521;

/// The longest piece that can be had.
pub const LONGEST: usize = 256 * 1024;

/// One table for all connections, each of which starts somewhere else in it.
pub struct Pattern(Vec<u8>);

impl Pattern {
    pub fn new() -> Pattern {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut period = Vec::with_capacity(PERIOD);
        for _ in 0..PERIOD {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            period.push((state >> 32) as u8);
        }
        let table = period.iter().copied().cycle().take(PERIOD + LONGEST).collect();
        Pattern(table)
    }

    /// `length` bytes of the stream of connection `id`, from `offset` on.
    pub fn piece(&self, id: usize, offset: u64, length: usize) -> &[u8] {
        let start = (offset % PERIOD as u64) as usize + id * 7_919;
        let start = start % PERIOD;
        &self.0[start..start + length.min(LONGEST)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_stream_fit_together() {
        let pattern = Pattern::new();
        let whole = pattern.piece(7, 0, LONGEST);
        let mut offset = 0;
        for length in [1, 64, 4_096, 65_520, 100_000] {
            let piece = pattern.piece(7, offset as u64, length);
            assert_eq!(piece, &whole[offset..offset + length]);
            offset += length;
        }
    }

    #[test]
    fn connections_have_different_streams() {
        let pattern = Pattern::new();
        for id in 1..2_000 {
            assert_ne!(pattern.piece(id, 0, 64), pattern.piece(0, 0, 64));
        }
    }

    #[test]
    fn a_stream_does_not_end() {
        let pattern = Pattern::new();
        let far = u64::from(u32::MAX) * 64;
        assert_eq!(pattern.piece(3, far, 64), pattern.piece(3, far % PERIOD as u64, 64));
        assert_eq!(pattern.piece(3, far, LONGEST + 1).len(), LONGEST);
    }
}
