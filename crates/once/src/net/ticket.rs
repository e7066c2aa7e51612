//! Tickets: what one kernel hands another so that it can join.

use iroh_tickets::{ParseError, Ticket as _};
use minicbor::{Decode, Encode};
use once_model::cbor::{from_cbor, to_cbor};
use once_model::hash::record_hash;
use once_model::ids::{KernelId, Secret};
use once_model::limits::ADDRESSES_MAX;

use super::address::Address;
use crate::Error;

/// Bytes at a ticket's end by which a damaged one is known.
const CHECK_BYTES: usize = 4;

/// The check value of a ticket's record.
fn check_of(record: &[u8]) -> Vec<u8> {
    record_hash("once/2 ticket", record).as_bytes()[..CHECK_BYTES].to_vec()
}

/// An invitation: whose it is, where that kernel can be dialled, and the secret that admits once. Prints as `once` and base32, and is
/// read from that. Whoever has the text can use it; `Debug` does not show the secret.
///
/// ```
/// # async fn run(alice: once::Kernel, bob: once::Kernel) -> Result<(), once::Error> {
/// let text = alice.invite().await?.to_string();
/// let ticket: once::Ticket = text.parse()?;
/// assert_eq!(bob.join(&ticket).await?, ticket.kernel());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub(crate) kernel: KernelId,
    pub(crate) secret: Secret,
    pub(crate) addresses: Vec<String>,
}

impl Ticket {
    /// A ticket of a kernel whose invites are made elsewhere.
    #[must_use]
    pub fn new(kernel: KernelId, secret: Secret, addresses: Vec<String>) -> Self {
        Self { kernel, secret, addresses }
    }

    /// The kernel that invites.
    #[must_use]
    pub fn kernel(&self) -> KernelId {
        self.kernel
    }

    /// What admits one kernel, once.
    #[must_use]
    pub fn secret(&self) -> Secret {
        self.secret
    }

    /// Where the kernel can be dialled: `address:port` or a relay's URL.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }
}

/// A ticket as it is written.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Record {
    #[n(0)]
    kernel: KernelId,
    #[n(1)]
    secret: Secret,
    #[n(2)]
    addresses: Vec<String>,
}

impl iroh_tickets::Ticket for Record {
    const KIND: &'static str = "once";

    fn encode_bytes(&self) -> Vec<u8> {
        let mut bytes = to_cbor(self);
        let check = check_of(&bytes);
        bytes.extend(check);
        bytes
    }

    fn decode_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        let wrong = ParseError::verification_failed;
        let (record, check) =
            bytes.split_last_chunk::<CHECK_BYTES>().ok_or_else(|| wrong("it is cut off"))?;
        if check_of(record) != check {
            return Err(wrong("it is damaged or incomplete"));
        }
        let ticket: Self = from_cbor(record).map_err(|_| wrong("it is of another version"))?;
        if ticket.addresses.len() > ADDRESSES_MAX {
            return Err(wrong("it has too many addresses"));
        }
        // Some may be of a kind that only later versions know.
        let sense = ticket.addresses.iter().any(|address| address.parse::<Address>().is_ok());
        if !ticket.addresses.is_empty() && !sense {
            return Err(wrong("none of its addresses makes sense"));
        }
        Ok(ticket)
    }
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kernel, secret, addresses } = self.clone();
        f.write_str(&Record { kernel, secret, addresses }.encode_string())
    }
}

impl std::str::FromStr for Ticket {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = Record::decode_string(text.trim()).map_err(|e| {
            Error::invalid(format!("not a ticket: {e}"))
                .with_hint("copy the whole line that 'once invite' printed; it begins with the letters once")
        });
        read.map(|Record { kernel, secret, addresses }| Self { kernel, secret, addresses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_survives_its_text() {
        let ticket = Ticket {
            kernel: KernelId::from_bytes([3; 32]),
            secret: Secret::from_bytes([9; 16]),
            addresses: vec!["127.0.0.1:4277".into()],
        };
        let text = ticket.to_string();
        assert!(text.starts_with("once"));
        assert_eq!(format!(" {text}\n").parse(), Ok(ticket));
    }

    fn hex(value: &serde_json::Value) -> Vec<u8> {
        let text = value.as_str().unwrap().trim_start_matches("h'").trim_end_matches('\'');
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn tickets_are_read_and_refused_as_the_vectors_say() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../../docs/vectors/tickets.json")).unwrap();
        let mut refused = 0;
        for vector in vectors["vectors"].as_array().unwrap() {
            let (name, read) = (&vector["name"], vector["text"].as_str().unwrap().parse::<Ticket>());
            if vector["refused"] == true {
                let error = read.expect_err(name.as_str().unwrap());
                assert!(error.hint().is_some(), "{name}: {error}");
                refused += 1;
                continue;
            }
            let (ticket, value) = (read.unwrap_or_else(|error| panic!("{name}: {error}")), &vector["value"]);
            assert_eq!(ticket.kernel.as_bytes()[..], hex(&value["kernel"]), "{name}");
            assert_eq!(ticket.secret.as_bytes()[..], hex(&value["secret"]), "{name}");
            let addresses: Vec<String> = serde_json::from_value(value["addresses"].clone()).unwrap();
            assert_eq!(ticket.addresses, addresses, "{name}");
        }
        assert!(refused >= 10, "{refused} refused");
    }

    /// Whatever one letter becomes another: it is not tried for 10 s with addresses that nobody has.
    #[test]
    fn a_ticket_with_one_wrong_letter_is_refused() {
        let ticket = Ticket {
            kernel: KernelId::from_bytes([3; 32]),
            secret: Secret::from_bytes([9; 16]),
            addresses: vec!["192.0.2.7:4277".into()],
        };
        let text = ticket.to_string();
        for at in 4..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = if damaged[at] == b'a' { b'b' } else { b'a' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert!(damaged.parse::<Ticket>().is_err(), "{at}");
            assert!(text[..at].parse::<Ticket>().is_err(), "cut off at {at}");
        }
    }

    #[test]
    fn secrets_are_in_no_debug_output() {
        use once_core::waist::{Command, Input};
        use once_model::wire::Frame;

        let (secret, bytes) = (Secret::from_bytes([0xA7; 16]), [0x5B; 32]);
        let (kernel, key) = (KernelId::from_bytes([3; 32]), once_model::sign::KernelKey::from_bytes(&bytes));
        let ticket = Ticket { kernel, secret, addresses: Vec::new() };
        let progress = once_model::progress::Progress::sign(
            once_model::ids::Incarnation::from_bytes([1; 16]),
            1,
            once_model::ids::BootId::from_bytes([2; 16]),
            1,
            &key,
        );
        let greeting = once_model::wire::Greeting {
            features: Vec::new(),
            critical: Vec::new(),
            progress,
            seen: Vec::new(),
            frame_max_bytes: 0,
            scenario_max_bytes: 0,
            window_shares: 0,
            name: String::new(),
            clock_ms: 0,
            invite: Some(secret),
            heard: None,
        };
        let row = once_core::peers::PeerRow {
            petname: None,
            says: String::new(),
            status: once_core::peers::PeerStatus::Joining,
            secret: Some(secret),
            addresses: Vec::new(),
            seen: Vec::new(),
            quota_bytes: 0,
            since_ms: 0,
            heard: None,
            invite: None,
            addresses_ms: Vec::new(),
            reborn_ms: None,
        };
        let join = Command::Join { peer: kernel, secret, addresses: Vec::new(), petname: None };
        let hello = Frame::Hello(greeting.clone());
        let input = Input::Frame { peer: kernel, conn: 1, frame: hello.clone() };
        let all: [&dyn std::fmt::Debug; 8] = [&secret, &ticket, &greeting, &hello, &input, &row, &join, &key];
        for one in all {
            let said = format!("{one:?} {one:#?}").to_lowercase();
            for spelled in ["a7a7", "167, 167", "167,", "5b5b", "91, 91", "91,"] {
                assert!(!said.contains(spelled), "{said}");
            }
        }
    }
}
