//! Lanes to objects of this kernel that stand still, and why, in words.

use once_core::parked::Damage;
use once_core::waist::{Answer, Command, Stands, StandsFor};

use crate::{Error, ErrorKind, Kernel};

/// What stands still now, and what the engine could not read.
pub(crate) async fn look(kernel: &Kernel) -> Result<(Vec<Stands>, Vec<Damage>), Error> {
    match kernel.shared().command(Command::Standing).await {
        Ok(Answer::Standing { lanes, damaged }) => Ok((lanes, damaged)),
        // The engine has not begun: nothing runs, so nothing stands still, and who asks what is wrong is told all the same.
        Err(error)
            if matches!(error.kind(), ErrorKind::Damaged | ErrorKind::DiskFull | ErrorKind::OutOfFiles) =>
        {
            Ok((Vec::new(), Vec::new()))
        }
        Err(error) => Err(error),
        Ok(other) => Err(Error::fault(format!("unexpected answer {other:?}"))),
    }
}

/// What stands still now.
pub(crate) async fn all(kernel: &Kernel) -> Result<Vec<Stands>, Error> {
    look(kernel).await.map(|(lanes, _)| lanes)
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
