//! Lanes to objects of this kernel that stand still, and why, in words.

use once_core::waist::{Answer, Command, Stands, StandsFor};

use crate::{Error, ErrorKind, Kernel};

/// What stands still now.
pub(crate) async fn all(kernel: &Kernel) -> Result<Vec<Stands>, Error> {
    match kernel.shared().command(Command::Standing).await {
        Ok(Answer::Standing { lanes, .. }) => Ok(lanes),
        // Nothing runs, and what is wrong is to be told all the same.
        Err(error) if error.kind() == ErrorKind::Damaged => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok(other) => Err(Error::fault(format!("unexpected answer {other:?}"))),
    }
}

/// Why a lane stands still.
pub(crate) fn why(kernel: &Kernel, stands: &Stands) -> String {
    let Stands { component, version, .. } = stands;
    match stands.why {
        StandsFor::Refused(code) => format!("no program here can take it ({})", code.name()),
        _ if !kernel.shared().components.served.fits(component, version) => {
            format!("waits for a program of {component} >= {version}")
        }
        StandsFor::Room => format!("waits for room at a program of {component}"),
        _ => "is asked again later: a program went away over it".to_owned(),
    }
}
