//! Picks some of many, with irregular steps, so that work which comes in a rhythm is not always
//! missed or always hit.

/// One in `every` on average.
#[derive(Debug)]
pub(super) struct Sampler {
    every: u32,
    left: u32,
    state: u32,
}

impl Sampler {
    /// The first is not picked; `every` is at least 1.
    pub(super) fn new(every: u32) -> Self {
        Self {
            every,
            left: every,
            state: 0x9e37_79b9,
        }
    }

    /// Whether this one is picked.
    pub(super) fn hit(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return false;
        }
        self.left = self.step();
        true
    }

    /// 1 to twice `every`, less one. (Marsaglia's xorshift: good enough to have no rhythm.)
    fn step(&mut self) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        1 + self.state % (2 * self.every - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_one_in_so_many_whatever_the_rhythm() {
        let rounds = 640_000;
        let mut sampler = Sampler::new(64);
        let hits: Vec<u32> = (0..rounds).filter(|_| sampler.hit()).collect();
        assert!((9_500..10_500).contains(&hits.len()), "{}", hits.len());
        for rhythm in [2, 3, 64] {
            let of_first = hits.iter().filter(|hit| *hit % rhythm == 0).count();
            let expected = hits.len() / rhythm as usize;
            assert!(
                of_first.abs_diff(expected) < expected / 2 + 10,
                "{of_first} of {expected} in a rhythm of {rhythm}"
            );
        }
    }
}
