//! What happened, as one number to compare two runs, and as lines for people when a seed is replayed.

/// A running hash of everything that happens in a world.
#[derive(Debug, Clone)]
pub struct Trace {
    hash: u64,
    /// Print each line as it comes.
    pub loud: bool,
    recent: std::collections::VecDeque<String>,
}

/// How many lines are kept for the report of a violation.
const RECENT_LINES: usize = 60;

impl Default for Trace {
    fn default() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, loud: false, recent: std::collections::VecDeque::new() }
    }
}

impl Trace {
    /// Folds a number in.
    pub fn number(&mut self, number: u64) {
        self.hash = (self.hash.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    /// Folds bytes in.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
    }

    /// A line for people: built only when somebody listens.
    pub fn line(&mut self, text: impl FnOnce() -> String) {
        if self.loud {
            let text = text();
            println!("{text}");
            self.recent.push_back(text);
            if self.recent.len() > RECENT_LINES {
                self.recent.pop_front();
            }
        }
    }

    /// The hash so far.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}
