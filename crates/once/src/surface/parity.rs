//! Which method of the local API is which method of the library. Tests hold both lists against the contract and the sources.

/// Each method of the local API, and the methods of [`crate::Kernel`] that do the same. None: why a library has no use for it.
const METHODS: &[(&str, Library)] = &[
    ("hello", Has(&["id", "name"])),
    ("status", Has(&["status", "addresses"])),
    ("listen", Has(&["watch"])),
    ("events", Has(&["newest_event"])),
    ("stop", Has(&["stop"])),
    ("import", Has(&["import"])),
    ("create", Has(&["create", "create_object"])),
    ("put", Has(&["put"])),
    ("claim", Has(&["claim"])),
    ("remove", Has(&["remove", "drop_read_only"])),
    ("list", Has(&["list"])),
    ("find", Has(&["find"])),
    ("get", Has(&["get", "scenario", "revision", "revisions"])),
    ("path", Has(&["way"])),
    ("refs", Has(&["references"])),
    ("act", Has(&["act", "act_on"])),
    ("actions", Has(&["actions"])),
    ("outcome", Has(&["outcome"])),
    ("cancel", Has(&["cancel"])),
    ("receipt", Has(&["receipt"])),
    ("receipts", Has(&["receipts"])),
    ("history", Has(&["history"])),
    ("coordinate", Has(&["coordinate"])),
    ("coordination", Has(&["coordination"])),
    ("coordinations", Has(&["coordinations"])),
    ("invite", Has(&["invite"])),
    ("invites", Has(&["invites"])),
    ("invites.revoke", Has(&["revoke_invite"])),
    ("join", Has(&["join"])),
    ("peers", Has(&["peers"])),
    ("peers.add", Has(&["add_peer"])),
    ("peers.set", Has(&["change_peer"])),
    ("peers.remove", Has(&["remove_peer"])),
    ("peers.dial", Has(&["dial"])),
    ("grant", Has(&["grant"])),
    ("revoke", Has(&["revoke"])),
    ("grants", Has(&["grants"])),
    ("share", Has(&["share"])),
    ("request", Has(&["request"])),
    ("exchange", Has(&["exchange"])),
    ("follow", Has(&["follow"])),
    ("unfollow", Has(&["unfollow"])),
    ("follows", Has(&["follows"])),
    ("outbox", Has(&["outbox"])),
    ("outbox.drop", Has(&["drop_debts", "drop_action"])),
    ("dead_letters", Has(&["dead_letters"])),
    ("dead_letters.retry", Has(&["retry_dead_letter"])),
    ("dead_letters.drop", Has(&["drop_dead_letter"])),
    ("conflicts", Has(&["conflicts"])),
    ("conflicts.keep", Has(&["keep_conflict"])),
    ("conflicts.drop", Has(&["drop_conflict"])),
    ("move", Has(&["move_to"])),
    ("moves", Has(&["moves", "arrivals", "stayed", "news_owed"])),
    ("moves.withdraw", Has(&["withdraw_move"])),
    ("drain", Has(&["drain", "drain_plan"])),
    ("drain.cancel", Has(&["cancel_drain"])),
    ("retire", Has(&["retire"])),
    ("doctor", Has(&["doctor"])),
    ("survey", Has(&["survey"])),
    ("confirm_losses", Has(&["confirm_losses"])),
    ("clock.accept", Has(&["accept_clock"])),
    ("quarantine", Has(&["quarantine"])),
    ("quarantine.end", Has(&["end_quarantine"])),
    ("serve", Lacks(EMBEDDED)),
    ("ran", Lacks(EMBEDDED)),
    ("serve_activity", Lacks(EMBEDDED)),
    ("worked", Lacks(EMBEDDED)),
    ("unserve", Lacks(EMBEDDED)),
];

const EMBEDDED: &str = "a program that embeds the kernel gives it its components and activities when it starts it: Builder::component, Builder::activity";

/// Methods of [`crate::Kernel`] that no method of the local API stands for, and why.
const OF_THE_PROCESS: &[(&str, &str)] = &[
    ("builder", "it makes the kernel that a client would call"),
    ("serve_api", "it opens the socket that a client would call"),
    (
        "responds",
        "a client that calls `hello` is answered beside the engine; a watchdog in the process asks its thread",
    ),
    ("stopped", "a client notices that the socket closes"),
    ("object", "a handle with the types of the program: what it does is `act`, `get` and `move`"),
];

/// What the library has for a method of the local API.
enum Library {
    /// These methods of [`crate::Kernel`].
    Has(&'static [&'static str]),
    /// Nothing, for this reason.
    Lacks(&'static str),
}

use Library::{Has, Lacks};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::api::contract;

    #[test]
    fn every_method_of_the_local_api_names_what_the_library_has_for_it() {
        let listed: Vec<_> = METHODS.iter().map(|(name, _)| *name).collect();
        let known: Vec<_> = contract::METHODS.iter().map(|method| method.name).collect();
        assert_eq!(listed, known, "surface/parity.rs lists the methods in the order of contract/list.rs");
        for (name, library) in METHODS {
            assert!(!matches!(library, Lacks("")), "{name}: a method without a counterpart says why");
        }
    }

    #[test]
    fn every_public_method_of_a_kernel_names_its_method_of_the_local_api() {
        let has = |library: &Library| match library {
            Has(methods) => *methods,
            Lacks(_) => &[],
        };
        let listed: Vec<_> = METHODS.iter().flat_map(|(_, library)| has(library)).copied().collect();
        let own = OF_THE_PROCESS.iter().map(|(name, _)| *name);
        let all: BTreeSet<String> = listed.iter().copied().chain(own).map(str::to_owned).collect();
        assert_eq!(all.len(), listed.len() + OF_THE_PROCESS.len(), "each is listed once");
        let mut public = BTreeSet::new();
        visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |source| methods(source, &mut public));
        assert!(public.len() > 60, "{public:?}");
        assert_eq!(public, all, "left: the sources; right: surface/parity.rs");
    }

    #[test]
    fn every_public_method_of_a_kernel_has_an_example() {
        let mut without = Vec::new();
        visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |source| {
            for body in kernels(source) {
                let mut has = false;
                for line in body.lines() {
                    has |= line.starts_with("    /// ```");
                    if line.starts_with("    pub ") && line.contains("fn ") && !std::mem::take(&mut has) {
                        without.extend((!line.contains("pub(")).then(|| line.trim().to_owned()));
                    }
                    has &= line.starts_with("    ///") || line.starts_with("    #");
                }
            }
        });
        assert_eq!(without, [""; 0]);
    }

    fn visit(folder: &Path, each: &mut dyn FnMut(&str)) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, each);
            } else if path.extension().is_some_and(|end| end == "rs") {
                each(&std::fs::read_to_string(path).unwrap());
            }
        }
    }

    /// What stands in each `impl Kernel`, as rustfmt writes it.
    fn kernels(source: &str) -> impl Iterator<Item = &str> {
        let parts = source.split("\nimpl Kernel {\n").skip(1);
        parts.map(|part| part.split("\n}\n").next().unwrap_or_default())
    }

    /// The names of the public methods of a kernel.
    fn methods(source: &str, found: &mut BTreeSet<String>) {
        for body in kernels(source) {
            for line in body.lines().filter_map(|line| line.strip_prefix("    pub ")) {
                let line = ["const ", "async "].iter().fold(line, |line, word| line.trim_start_matches(word));
                if let Some(rest) = line.strip_prefix("fn ") {
                    found.insert(rest.split(['(', '<']).next().unwrap_or_default().to_owned());
                }
            }
        }
    }

    #[test]
    fn methods_are_found_in_sources() {
        let mut found = BTreeSet::new();
        let source = "use x;\n\nimpl Kernel {\n    pub async fn a(&self) {\n    }\n\n    pub(crate) fn b() {}\n\n    pub const fn c<T>() {}\n}\n\nimpl Other {\n    pub fn d() {}\n}\n";
        methods(source, &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "c"]);
    }
}
