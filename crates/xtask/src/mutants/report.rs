//! Says what came of a sample.

use std::collections::{BTreeMap, BTreeSet};

use super::draw::strata;
use super::record::{Judged, Verdict};
use super::site::Site;

/// What came of one: where it is, and which stages came there, or which one caught it and how.
pub fn line(site: &Site, judged: &Judged) -> String {
    let verdict = match judged.verdict {
        Verdict::Caught => "caught",
        Verdict::Survived => "survived",
        Verdict::Timeout => "timeout",
    };
    let how = match (&judged.stage, judged.reached.as_slice()) {
        (Some(stage), _) => format!("{stage}: {}", judged.why.as_deref().unwrap_or("no time or memory left")),
        (None, []) => "never reached".to_owned(),
        (None, reached) => format!("reached by {}", reached.join(", ")),
    };
    let missed = match judged.missed.as_slice() {
        [] => String::new(),
        missed => format!(", and the seeds did not come to: {}", missed.join(", ")),
    };
    format!("{verdict} {site} ({how}{missed})")
}

/// The report: a line for each part of the engine, one for each mutant that was not caught, and the sum.
pub fn report(sites: &[Site], rejected: &BTreeSet<u32>, judged: &[(&Site, &Judged)]) -> String {
    let mut lines =
        vec![format!("{:<12} {:>6} {:>7} {:>8} {:>8}", "part", "sites", "caught", "survived", "timeout")];
    for (part, of_part) in strata(sites) {
        let mine: Vec<_> = judged.iter().filter(|(site, _)| site.stratum() == part).collect();
        let count = |verdict| mine.iter().filter(|(_, judged)| judged.verdict == verdict).count();
        let counts = [Verdict::Caught, Verdict::Survived, Verdict::Timeout].map(count);
        lines.push(format!(
            "{part:<12} {:>6} {:>7} {:>8} {:>8}",
            of_part.len(),
            counts[0],
            counts[1],
            counts[2]
        ));
    }
    let mut by_stage: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, judged) in judged.iter().filter(|(_, judged)| judged.verdict == Verdict::Caught) {
        *by_stage.entry(judged.stage.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let stages: Vec<_> = by_stage.iter().map(|(stage, count)| format!("{stage} {count}")).collect();
    lines.push(format!("caught by: {}", stages.join(", ")));
    lines.push(format!("drawn but not compiled, so drawn again: {}", rejected.len()));
    let seconds: f64 = judged.iter().map(|(_, judged)| judged.seconds).sum();
    lines.push(format!("seconds per mutant: {:.1}", seconds / judged.len().max(1) as f64));
    for verdict in [Verdict::Survived, Verdict::Timeout] {
        let mine = judged.iter().filter(|(_, judged)| judged.verdict == verdict);
        lines.extend(mine.map(|(site, judged)| line(site, judged)));
    }
    let count = |verdict| judged.iter().filter(|(_, judged)| judged.verdict == verdict).count();
    lines.push(format!(
        "caught {} survived {} timeout {}",
        count(Verdict::Caught),
        count(Verdict::Survived),
        count(Verdict::Timeout)
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::site::Edit;
    use super::*;

    #[test]
    fn the_last_line_is_the_sum_and_survivors_are_named() {
        let site = |file: &str, line| Site {
            file: file.to_owned(),
            line,
            function: "may_read".to_owned(),
            change: "replace == by !=".to_owned(),
            range: 0..0,
            edit: Edit::Delete,
        };
        let sites = [site("actions/home.rs", 1), site("actions/send.rs", 2), site("rights.rs", 3)];
        let judged = |id, verdict, reached: &[&str]| Judged {
            verdict,
            stage: (verdict != Verdict::Survived).then(|| "core".to_owned()),
            reached: reached.iter().map(|&name| name.to_owned()).collect(),
            missed: if id == 3 { vec!["share Known".to_owned()] } else { Vec::new() },
            ..Judged::survived(id)
        };
        let results = [
            judged(1, Verdict::Caught, &["core"]),
            judged(2, Verdict::Timeout, &[]),
            judged(3, Verdict::Survived, &["stories", "seeds"]),
        ];
        let pairs: Vec<_> = sites.iter().zip(&results).collect();
        let report = report(&sites, &BTreeSet::from([9]), &pairs);
        assert!(report.ends_with("\ncaught 1 survived 1 timeout 1"), "{report}");
        let survivor = "survived crates/once-core/src/rights.rs:3 may_read: replace == by != (reached by stories, seeds, \
                        and the seeds did not come to: share Known)";
        assert!(report.lines().any(|line| line == survivor), "{report}");
        assert!(report.contains("replace == by != (core: no time or memory left)"), "{report}");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let parts: Vec<_> = report.lines().skip(1).take(2).map(words).collect();
        assert_eq!(parts, [["actions", "2", "1", "0", "1"], ["rights", "1", "0", "1", "0"]]);
    }
}
