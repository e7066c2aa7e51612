//! The texts in Rust sources: what stands between quotes, and the help that clap makes of doc comments.

/// Each text of a source with its line, without those of its inner test module.
pub fn of(source: &str) -> Vec<(usize, String)> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let chars: Vec<char> = source.chars().collect();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let begun = line;
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => end_of(&chars, at, |c, _| c == '\n'),
            ('r', Some('"' | '#')) if hashes(&chars, at + 1).is_some() => {
                let hashes = hashes(&chars, at + 1).unwrap_or(0);
                let from = at + 2 + hashes;
                let end = (from..chars.len())
                    .find(|end| {
                        chars[*end] == '"'
                            && chars[end + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
                    })
                    .unwrap_or(chars.len());
                found.push((begun, chars[from..end].iter().collect()));
                end + hashes
            }
            ('"', _) => {
                let end = end_of(&chars, at + 1, |c, escaped| c == '"' && !escaped);
                found.push((begun, plain(&chars[at + 1..end])));
                end
            }
            ('\'', Some('\\')) => end_of(&chars, at + 3, |c, _| c == '\''),
            ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => at + 2,
            _ => at,
        };
        let end = end.min(chars.len() - 1);
        line += chars[at..=end].iter().filter(|c| **c == '\n').count();
        at = end + 1;
    }
    found
}

/// How many hashes a raw string begins with, if it is one.
fn hashes(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars[from..].iter().take_while(|c| **c == '#').count();
    (chars.get(from + hashes) == Some(&'"')).then_some(hashes)
}

fn end_of(chars: &[char], from: usize, ends: impl Fn(char, bool) -> bool) -> usize {
    let mut escaped = false;
    for (at, c) in chars.iter().enumerate().skip(from) {
        if ends(*c, escaped) {
            return at;
        }
        escaped = *c == '\\' && !escaped;
    }
    chars.len()
}

/// A literal as the program sees it, as far as commands are concerned.
fn plain(literal: &[char]) -> String {
    let text: String = literal.iter().collect();
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let joined = lines.fold(first, |joined, line| joined + line.trim_start());
    joined.replace("\\n", "\n").replace("\\\"", "\"")
}
