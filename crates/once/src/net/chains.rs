//! Chains that came without their beginning, because they are long, are made whole before anything looks at what they came with:
//! with what is known here, or else with what the peer has that sent them.

use once_core::shell;
use once_model::certificate::Chain;
use once_model::wire::{Code, Frame, Pull};

use super::frames::{self, FrameReader, NetError};
use super::{Net, Session};

/// Makes the chain of a frame whole. What cannot be stays as it is, and proves nothing. Nothing else is read on the connection
/// meanwhile: what comes behind may rest on it. False if the peer cannot say just now: then the frame has not come, and is said again.
pub(crate) async fn complete(
    net: &Net,
    session: &Session,
    chain: Option<&mut Chain>,
) -> Result<bool, NetError> {
    let Some(chain) = chain else { return Ok(true) };
    let lacks = shell::lacks(&net.shared.snapshot(), &session.peer, chain);
    let Some((asked, bytes)) = lacks else { return Ok(true) };
    let Ok(size) = usize::try_from(bytes) else { return Ok(true) };
    match pull(session, asked, size).await {
        Ok(Some(earlier)) => shell::complete(chain, &earlier),
        Ok(None) => {}
        Err(NetError::Busy) => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(true)
}

/// The bytes; nothing if they are not to be had there.
async fn pull(session: &Session, pull: Pull, size: usize) -> Result<Option<Vec<u8>>, NetError> {
    let broken = |e: iroh::endpoint::ConnectionError| NetError::Broken(e.to_string());
    let (mut send, recv) = session.connection.open_bi().await.map_err(broken)?;
    frames::send(&mut send, &Frame::Pull(pull)).await?;
    let _ = send.finish();
    let mut reader = FrameReader::hurried(recv);
    match reader.expect().await? {
        Frame::Body(bytes) if bytes == size as u64 => {}
        Frame::Body(_) => return Err(NetError::Unexpected("a chain of another length")),
        Frame::Absent(absent) if matches!(absent.code, Code::Busy | Code::Stopping) => {
            return Err(NetError::Busy);
        }
        Frame::Absent(_) => return Ok(None),
        _ => return Err(NetError::Unexpected("body or absent must answer a pull")),
    }
    let mut came = Vec::new();
    reader.raw(size, |piece| came.extend_from_slice(piece)).await?;
    session.body_moved();
    Ok(Some(came))
}
