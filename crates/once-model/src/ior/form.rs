//! What a reference says.

use uuid::Uuid;

use super::once::OnceIor;

/// What a reference says, by its form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form<'a> {
    /// Ours: `ior:once://<home>/<Component>/<version>/<uuid>?lineage=…&at=…`.
    Once(OnceIor),
    /// A UUID alone.
    Bare(Uuid),
    /// `ior:unit:<uuid>` or `ior:unit:uuid:<uuid>`.
    Unit(Uuid),
    /// `ior:esm:/<package>/<version>/<name>`: a type in a module.
    Esm {
        /// The component that the module belongs to, like `ONCE`.
        package: &'a str,
        /// The component's version.
        version: &'a str,
        /// The name of the type.
        name: &'a str,
    },
    /// `ior:git:<host>/<org>/<repo>/blob/<branch>/<path>`. Branches may have slashes (`dev/web4v0100`), so where the
    /// branch ends cannot be told from the text.
    Git {
        /// The host, like `github.com`.
        host: &'a str,
        /// The organisation or user.
        org: &'a str,
        /// The repository, as the IOR spells it.
        repo: &'a str,
        /// `<branch>/<path>`.
        branch_and_path: &'a str,
    },
    /// `ior:git:hash:<sha256>`.
    GitHash(&'a str),
    /// `ior:git:text:<url>#<lines>`.
    GitText {
        /// The address of the page.
        url: &'a str,
        /// The part of it, like `L1:1-18:1`.
        lines: Option<&'a str>,
    },
    /// `ior:local:file://<relative>` or `ior:local:ln:file:<absolute>`.
    Local {
        /// The path, as it is spelled.
        path: &'a str,
        /// It was a link (`ln`).
        link: bool,
    },
    /// `web4://<host>/<path>?uuid=…&type=…&version=…`.
    Web4 {
        /// Host and port, as they are spelled.
        host: &'a str,
        /// The UUID of the object.
        uuid: Option<Uuid>,
        /// The component, if it is named.
        component: Option<&'a str>,
        /// The component's version.
        version: Option<&'a str>,
    },
    /// `ior:https://<host>,<host>/<Component>/<version>/<uuid>[/<method>][?<query>]`; also `http`, `ws` and `wss`.
    Http {
        /// The scheme: `http`, `https`, `ws` or `wss`.
        scheme: &'a str,
        /// Hosts and ports as they are spelled (`h1:p1,h2:p2`, even `h:undefined`): try them in this order.
        hosts: &'a str,
        /// The component's name.
        component: &'a str,
        /// The component's version.
        version: &'a str,
        /// The UUID of the object.
        uuid: Uuid,
        /// The method to call.
        method: Option<&'a str>,
        /// What follows the question mark.
        query: Option<&'a str>,
    },
    /// None of the known forms.
    Other,
}
