//! Numbers for people, and back.

use std::io::IsTerminal;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::{Done, Failure};

/// `1234567` as `1,234,567`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 file`, `2 files`.
pub fn count(n: u64, what: &str) -> String {
    format!("{} {}", number(n), plural(n, what))
}

/// `file` or `files`.
pub fn plural(n: u64, what: &str) -> String {
    if n == 1 { what.to_owned() } else { format!("{what}s") }
}

/// `1174` as `1.1 KiB`: units of 1,024, as the limits and quotas of this program count.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// `41000` as `41 ms`.
pub fn duration_us(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        1_000_000..60_000_000 => format!("{:.1} s", us as f64 / 1e6),
        60_000_000..7_200_000_000 => format!("{} min", us / 60_000_000),
        7_200_000_000..172_800_000_000 => format!("{} h", us / 3_600_000_000),
        _ => format!("{} days", us / 86_400_000_000),
    }
}

/// A point in time as `3 min ago` or `in 3 min`.
pub fn since(at_ms: u64) -> String {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64);
    let span = |ms: u64| duration_us(ms.saturating_mul(1000));
    if at_ms <= now_ms {
        format!("{} ago", span(now_ms - at_ms))
    } else {
        format!("in {}", span(at_ms - now_ms))
    }
}

/// A point in time as `2026-02-03 04:05:06 UTC`: the same wherever it is read.
pub fn utc(at_ms: u64) -> String {
    let (days, second) = (at_ms / 86_400_000, at_ms / 1000 % 86_400);
    // Years that begin in March: the odd day of a leap year is the last one then. Day 0 is 1 March of the year 0.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let (month, day) = (if march < 10 { march + 3 } else { march - 9 }, of_year - (153 * march + 2) / 5 + 1);
    let year = 400 * era + of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The beginning of a kernel id or a hash: enough to tell them apart, not enough to trust.
pub fn short(id: &str) -> String {
    const SHORT_CHARS: usize = 10;
    if id.chars().count() <= SHORT_CHARS + 2 {
        return super::shown(id);
    }
    format!("{}…", super::shown(&id.chars().take(SHORT_CHARS).collect::<String>()))
}

/// A kernel's id in a table: short on a terminal, whole in a pipe.
pub fn kernel(id: &str) -> String {
    if std::io::stdout().is_terminal() { short(id) } else { super::shown(id) }
}

/// `90s`, `30m`, `12h`, `7d`, `500ms`; a number alone is seconds.
pub fn parse_ms(text: &str) -> Result<u64, String> {
    let (digits, unit) = split(text);
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("expected a time like 500ms, 90s, 30m, 12h or 7d".into()),
    };
    let amount: Option<u64> = digits.parse().ok();
    amount
        .and_then(|n| n.checked_mul(factor))
        .ok_or_else(|| "expected a time like 90s, 30m, 12h or 7d".into())
}

/// How long something is valid: at least a second, so that somebody can use it.
pub fn parse_validity_ms(text: &str) -> Result<u64, String> {
    match parse_ms(text)? {
        ..1_000 => Err("expected at least one second, like 30m, 12h or 7d".into()),
        ms => Ok(ms),
    }
}

/// A point in time, in milliseconds since 1970: so long ago, like `2h`; or a date like `2026-02-03` or `2026-02-03T04:05:06`
/// (UTC, as [`utc`] prints it).
pub fn parse_since(text: &str) -> Result<u64, String> {
    if let Ok(ago) = parse_ms(text) {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64);
        return Ok(now_ms.saturating_sub(ago));
    }
    date_ms(text)
        .ok_or_else(|| "expected a time that has passed, like 2h or 7d, or a date like 2026-02-03".into())
}

fn date_ms(text: &str) -> Option<u64> {
    let text = text.trim_end_matches("UTC").trim_end_matches('Z').trim_end();
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "0:0:0"));
    let number = |part: Option<&str>, most: u64| part?.parse().ok().filter(|n| *n <= most);
    let mut parts = date.split('-');
    let (year, month, day) =
        (number(parts.next(), 9999)?, number(parts.next(), 12)?, number(parts.next(), 31)?);
    let mut times = time.split(':');
    let (hour, minute) = (number(times.next(), 23)?, number(times.next(), 59)?);
    let second = times.next().map_or(Some(0), |second| number(Some(second), 59))?;
    if year < 1970 || month == 0 || day == 0 || parts.next().is_some() || times.next().is_some() {
        return None;
    }
    // As in `utc`: years that begin in March.
    let (year, march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * march + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000)
}

/// `512`, `10KiB`, `256MiB`, `1GB`.
pub fn parse_bytes(text: &str) -> Done<u64> {
    let wrong =
        || Failure::usage(format!("not a size: {}; expected one like 256MiB or 1GiB", super::shown(text)));
    let (digits, unit) = split(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    digits.parse().ok().and_then(|n: u64| n.checked_mul(factor)).ok_or_else(wrong)
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    (digits, unit.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_174), "1.1 KiB");
        assert_eq!(bytes(1_048_575), "1.0 MiB");
        assert_eq!(bytes(64 * 1024 * 1024), "64 MiB");
        assert_eq!(bytes(u64::MAX), "16777216 TiB");
        assert_eq!(duration_us(41_000), "41 ms");
        assert_eq!(duration_us(1_500), "1.5 ms");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(1_040, "file"), "1,040 files");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_399_999), "2000-02-28 23:59:59 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_700_000_000_000), "2023-11-14 22:13:20 UTC");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00:00 UTC");
        assert!(!utc(u64::MAX).is_empty());
    }

    #[test]
    fn a_date_is_read_as_it_is_printed() {
        for at_ms in [0, 951_782_399_000, 951_782_400_000, 1_700_000_000_000, 4_107_542_400_000] {
            assert_eq!(parse_since(&utc(at_ms)), Ok(at_ms));
        }
        assert_eq!(parse_since("2000-02-29"), Ok(951_782_400_000));
        assert_eq!(parse_since("2000-02-29T00:00:01Z"), Ok(951_782_401_000));
        for wrong in
            ["", "2000", "2000-13-01", "2000-02-00", "1969-12-31", "2000-02-29T24:00:00", "yesterday"]
        {
            assert!(parse_since(wrong).is_err() || wrong == "2000", "{wrong}");
        }
    }

    #[test]
    fn times_and_sizes_are_understood() {
        assert_eq!(parse_ms("90"), Ok(90_000));
        assert_eq!(parse_ms("7d"), Ok(604_800_000));
        assert!(parse_ms("soon").is_err());
        assert_eq!(
            ["1s", "0s", "999ms", "x"].map(|text| parse_validity_ms(text).ok()),
            [Some(1000), None, None, None]
        );
        assert!(parse_ms("99999999999999999d").is_err());
        assert_eq!(parse_bytes("256MiB").ok(), Some(268_435_456));
        assert_eq!(parse_bytes("10 kB").ok(), Some(10_000));
        assert_eq!(parse_bytes("x").err().map(|failure| failure.exit), Some(2));
    }
}
