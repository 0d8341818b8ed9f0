//! PDUs on the wire: length, header, body (SMPP 3.4 section 3.2).
//!
//! What comes in is cut into frames by its length alone, and only its header is understood; of bodies, this side
//! needs none but the id in a submit_sm_resp. A peer's odd body (a name that is not ASCII, a vendor's parameter) can
//! so neither break the session nor hide that a text was taken. What goes out is encoded by `rusmpp`.

use bytes::{Buf, Bytes, BytesMut};
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::{Command, CommandId, CommandStatus};
use tokio_util::codec::{Decoder, Encoder};

const HEADER_BYTES: usize = 16;
/// Largest PDU taken: a deliver_sm whose message_payload has its full 64 KiB, and what is around it.
pub(super) const FRAME_BYTES_MAX: usize = 68 * 1024;
/// Most octets of a message id, SMPP 3.4 section 5.2.23.
const MESSAGE_ID_OCTETS_MAX: usize = 64;

/// One PDU from the message centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub id: CommandId,
    pub status: CommandStatus,
    pub sequence: u32,
    body: Bytes,
}

impl Frame {
    /// The id that begins the body of a submit_sm_resp; empty when there is none.
    pub fn message_id(&self) -> String {
        let name = self.body.split(|octet| *octet == 0).next().unwrap_or_default();
        String::from_utf8_lossy(&name[..name.len().min(MESSAGE_ID_OCTETS_MAX)]).into_owned()
    }

    /// Whether this can be the answer to a submit_sm: its own response, or the refusal to understand it.
    pub fn answers_a_part(&self) -> bool {
        matches!(self.id, CommandId::SubmitSmResp | CommandId::GenericNack)
    }

    /// Whether an answer is expected: bit 31 of a command id tells requests from responses.
    pub fn is_request(&self) -> bool {
        u32::from(self.id) & 0x8000_0000 == 0
    }
}

/// The peer's octets can not be cut into PDUs; nothing after them can be understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("a PDU says it has {0} bytes, which none has")]
    Length(u32),
}

#[derive(Debug, Default)]
pub(super) struct FrameDecoder;

impl Decoder for FrameDecoder {
    type Item = Frame;
    type Error = FrameError;

    fn decode(&mut self, octets: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some(length) = octets.first_chunk::<4>().map(|length| u32::from_be_bytes(*length)) else {
            return Ok(None);
        };
        let length_bytes = length as usize;
        if !(HEADER_BYTES..=FRAME_BYTES_MAX).contains(&length_bytes) {
            return Err(FrameError::Length(length));
        }
        if octets.len() < length_bytes {
            octets.reserve(length_bytes - octets.len());
            return Ok(None);
        }
        let mut frame = octets.split_to(length_bytes).freeze();
        frame.advance(4);
        Ok(Some(Frame {
            id: CommandId::from(frame.get_u32()),
            status: CommandStatus::from(frame.get_u32()),
            sequence: frame.get_u32(),
            body: frame,
        }))
    }
}

/// A PDU in octets.
pub(super) fn encoded(command: &Command) -> std::io::Result<BytesMut> {
    let mut octets = BytesMut::new();
    CommandCodec::new()
        .encode(command, &mut octets)
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(words: [u32; 4], body: &[u8]) -> BytesMut {
        let mut octets = BytesMut::new();
        for word in words {
            octets.extend_from_slice(&word.to_be_bytes());
        }
        octets.extend_from_slice(body);
        octets
    }

    #[test]
    fn frames_are_cut_wherever_reads_end() {
        let mut stream = octets([16 + 3, 0x8000_0004, 0, 7], b"ab\0");
        stream.extend_from_slice(&octets([16, 0x0000_0015, 0, 8], b""));
        let mut seen = Vec::new();
        let mut buffer = BytesMut::new();
        for octet in &stream {
            buffer.extend_from_slice(&[*octet]);
            if let Some(frame) = FrameDecoder.decode(&mut buffer).unwrap() {
                seen.push((frame.id, frame.sequence, frame.message_id(), frame.is_request()));
            }
        }
        assert_eq!(
            seen,
            [
                (CommandId::SubmitSmResp, 7, "ab".to_owned(), false),
                (CommandId::EnquireLink, 8, String::new(), true)
            ]
        );
    }

    #[test]
    fn an_impossible_length_is_an_error_at_once() {
        for length in [0, 15, FRAME_BYTES_MAX as u32 + 1, u32::MAX] {
            let mut stream = octets([length, 0, 0, 0], b"");
            assert!(
                matches!(FrameDecoder.decode(&mut stream), Err(FrameError::Length(seen)) if seen == length)
            );
        }
    }

    #[test]
    fn a_message_id_of_any_octets_is_readable() {
        for (body, expected) in [
            (&b""[..], ""),
            (b"\0", ""),
            (b"no end", "no end"),
            (b"\xff\0\x20", "\u{fffd}"),
            (&[b'x'; 100], &"x".repeat(64)),
        ] {
            let mut stream = octets([16 + body.len() as u32, 0x8000_0004, 0, 1], body);
            assert_eq!(FrameDecoder.decode(&mut stream).unwrap().unwrap().message_id(), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_octets_are_frames_or_an_error(stream in proptest::collection::vec(0u8..=255, 0..200)) {
            let mut buffer = BytesMut::from(&stream[..]);
            for _ in 0..=stream.len() / HEADER_BYTES {
                let Ok(Some(_)) = FrameDecoder.decode(&mut buffer) else { break };
            }
        }
    }
}
