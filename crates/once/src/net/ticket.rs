//! Tickets: what one kernel hands another so that it can join.

use iroh_tickets::{ParseError, Ticket as _};
use minicbor::{Decode, Encode};
use once_model::ids::{KernelId, Secret};
use once_model::limits::ADDRESSES_MAX;
use once_model::wire::{from_cbor, to_cbor};

use crate::Error;

/// An invitation: whose, where, and the secret that admits once. Prints as `once` and base32.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ticket {
    /// The kernel that invites.
    #[n(0)]
    pub kernel: KernelId,
    /// Admits one kernel, once.
    #[n(1)]
    pub secret: Secret,
    /// Where the kernel can be dialled: `address:port` or a relay's URL.
    #[n(2)]
    pub addresses: Vec<String>,
}

impl iroh_tickets::Ticket for Ticket {
    const KIND: &'static str = "once";

    fn encode_bytes(&self) -> Vec<u8> {
        to_cbor(self)
    }

    fn decode_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        let ticket: Self = from_cbor(bytes).map_err(|_| ParseError::verification_failed("malformed"))?;
        if ticket.addresses.len() > ADDRESSES_MAX {
            return Err(ParseError::verification_failed("too many addresses"));
        }
        Ok(ticket)
    }
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.encode_string())
    }
}

impl std::str::FromStr for Ticket {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::decode_string(text.trim()).map_err(|e| {
            Error::invalid(format!("not a ticket: {e}"))
                .with_hint("copy the whole line that 'once invite' printed; it begins with the letters once")
        })
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
        for wrong in ["", "once", "oncexyz", &text[..text.len() - 3], "ticket"] {
            assert!(wrong.parse::<Ticket>().is_err(), "{wrong}");
        }
    }
}
