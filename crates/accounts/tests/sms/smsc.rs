//! A message centre in the test's own process, so that it can be told to misbehave.
//!
//! Each submit_sm takes the next of its scripted [`Reply`]s; when there is none left, it is accepted. All that was
//! received is kept.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use rusmpp::pdus::{BindTransceiverResp, BindTransmitterResp, SubmitSm, SubmitSmResp};
use rusmpp::tlvs::TlvValue;
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::types::COctetString;
use rusmpp::{Command, CommandId, CommandStatus, Pdu};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio_util::codec::Framed;

pub const PASSWORD: &str = "secret08";

#[derive(Clone, Debug)]
pub enum Reply {
    Accept,
    Refuse(CommandStatus),
    AcceptAfter(Duration),
    /// No answer, ever.
    Silence,
    /// The connection is cut instead of an answer.
    Cut,
    /// A submit_sm_resp with this body, whatever it means.
    AcceptWithBody(Vec<u8>),
}

/// What a test has the message centre do to its clients.
#[derive(Clone, Debug)]
pub enum Push {
    Request(Box<Pdu>),
    Octets(Vec<u8>),
}

#[derive(Default)]
pub struct Seen {
    pub submits: Vec<SubmitSm>,
    /// The system_type of each bind, refused ones included.
    pub binds: Vec<String>,
    /// Ids and statuses of what is neither a bind nor a submit.
    pub others: Vec<(CommandId, CommandStatus)>,
    pub outstanding: usize,
    pub outstanding_most: usize,
    pub closed: usize,
}

struct Centre {
    seen: Mutex<Seen>,
    script: Mutex<VecDeque<Reply>>,
    answers_enquire_link: bool,
}

pub struct Smsc {
    pub address: SocketAddr,
    centre: Arc<Centre>,
    pushes: broadcast::Sender<Push>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Smsc {
    pub async fn start(script: impl IntoIterator<Item = Reply>) -> Smsc {
        Smsc::start_with(script, true).await
    }

    /// One that never answers an enquire_link.
    pub async fn start_deaf() -> Smsc {
        Smsc::start_with([], false).await
    }

    async fn start_with(script: impl IntoIterator<Item = Reply>, answers_enquire_link: bool) -> Smsc {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let centre = Arc::new(Centre {
            seen: Mutex::default(),
            script: Mutex::new(script.into_iter().collect()),
            answers_enquire_link,
        });
        let (pushes, _) = broadcast::channel(16);
        let accepting = tokio::spawn({
            let (centre, pushes) = (centre.clone(), pushes.clone());
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (centre, pushes) = (centre.clone(), pushes.subscribe());
                    tokio::spawn(async move {
                        centre.converse(stream, pushes).await;
                        centre.seen().closed += 1;
                    });
                }
            }
        });
        Smsc { address, centre, pushes, accepting }
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.centre.seen()
    }

    /// How many parts and how many binds were seen.
    pub fn submits_and_binds(&self) -> (usize, usize) {
        let seen = self.seen();
        (seen.submits.len(), seen.binds.len())
    }

    pub fn request(&self, pdu: Pdu) {
        self.push(Push::Request(Box::new(pdu)));
    }

    pub fn push(&self, push: Push) {
        self.pushes.send(push).expect("a client is bound");
    }
}

impl Drop for Smsc {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Centre {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no test thread panicked while it looked")
    }

    async fn converse(self: &Arc<Self>, stream: TcpStream, mut pushes: broadcast::Receiver<Push>) {
        let mut framed = Framed::new(stream, CommandCodec::new());
        // What is answered later comes back here.
        let (later, mut due) = mpsc::channel::<Command>(64);
        loop {
            let answer = tokio::select! {
                heard = framed.next() => match heard {
                    Some(Ok(command)) => match self.hear(command, &later) {
                        Heard::Answer(answer) => Some(*answer),
                        Heard::Octets(octets) => {
                            if framed.get_mut().write_all(&octets).await.is_err() { return }
                            None
                        }
                        Heard::Nothing => None,
                        Heard::Cut => return,
                    },
                    _ => return,
                },
                Some(answer) = due.recv() => {
                    self.seen().outstanding -= 1;
                    Some(answer)
                }
                Ok(push) = pushes.recv() => match push {
                    Push::Request(pdu) => Some(Command::new(CommandStatus::EsmeRok, 1_000, *pdu)),
                    Push::Octets(octets) => {
                        if framed.get_mut().write_all(&octets).await.is_err() { return }
                        None
                    }
                },
            };
            if let Some(answer) = answer {
                let last = answer.id() == CommandId::UnbindResp;
                if framed.send(answer).await.is_err() || last {
                    return;
                }
            }
        }
    }

    fn hear(&self, command: Command, later: &mpsc::Sender<Command>) -> Heard {
        let sequence = command.sequence_number();
        let (status, pdu) = match command.pdu().expect("a body that can be read") {
            Pdu::BindTransmitter(bind) => {
                let status = self.bound(bind.system_type.as_str(), bind.password.as_str());
                (status, Pdu::from(BindTransmitterResp::default()))
            }
            Pdu::BindTransceiver(bind) => {
                let status = self.bound(bind.system_type.as_str(), bind.password.as_str());
                (status, Pdu::from(BindTransceiverResp::default()))
            }
            Pdu::SubmitSm(submit) => return self.submitted(submit.clone(), sequence, later),
            other => {
                self.seen().others.push((command.id(), command.status()));
                match other {
                    Pdu::EnquireLink if self.answers_enquire_link => {
                        (CommandStatus::EsmeRok, Pdu::EnquireLinkResp)
                    }
                    Pdu::Unbind => (CommandStatus::EsmeRok, Pdu::UnbindResp),
                    _ => return Heard::Nothing,
                }
            }
        };
        Heard::Answer(Box::new(Command::new(status, sequence, pdu)))
    }

    fn bound(&self, system_type: &str, password: &str) -> CommandStatus {
        self.seen().binds.push(system_type.to_owned());
        if password == PASSWORD { CommandStatus::EsmeRok } else { CommandStatus::EsmeRinvpaswd }
    }

    fn submitted(&self, submit: SubmitSm, sequence: u32, later: &mpsc::Sender<Command>) -> Heard {
        let mut seen = self.seen();
        seen.submits.push(submit);
        let id = COctetString::from_string(format!("id-{}", seen.submits.len())).expect("a short id");
        let accept =
            Command::new(CommandStatus::EsmeRok, sequence, SubmitSmResp::builder().message_id(id).build());
        match self.script.lock().expect("unpoisoned").pop_front().unwrap_or(Reply::Accept) {
            Reply::Accept => Heard::Answer(Box::new(accept)),
            Reply::Refuse(status) => {
                Heard::Answer(Box::new(Command::new(status, sequence, SubmitSmResp::default())))
            }
            Reply::AcceptAfter(pause) => {
                seen.outstanding += 1;
                seen.outstanding_most = seen.outstanding_most.max(seen.outstanding);
                let later = later.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    let _ = later.send(accept).await;
                });
                Heard::Nothing
            }
            Reply::Silence => Heard::Nothing,
            Reply::Cut => Heard::Cut,
            Reply::AcceptWithBody(body) => {
                let mut octets = (16 + body.len() as u32).to_be_bytes().to_vec();
                for word in [u32::from(CommandId::SubmitSmResp), 0, sequence] {
                    octets.extend_from_slice(&word.to_be_bytes());
                }
                octets.extend_from_slice(&body);
                Heard::Octets(octets)
            }
        }
    }
}

enum Heard {
    Answer(Box<Command>),
    Octets(Vec<u8>),
    Nothing,
    Cut,
}

/// The octets of a submit, the header before them if there is one, and the 16 bits of its reference.
pub fn parts_of(submit: &SubmitSm) -> (Option<[u8; 6]>, Vec<u8>, u16) {
    let octets = submit.short_message().clone().into_vec();
    let reference = submit.tlvs().iter().find_map(|tlv| match tlv.value() {
        Some(TlvValue::UserMessageReference(reference)) => Some(reference.value),
        _ => None,
    });
    let reference = reference.expect("a user_message_reference");
    match u8::from(submit.esm_class) {
        0x40 => (Some(octets[..6].try_into().expect("six octets")), octets[6..].to_vec(), reference),
        0x00 => (None, octets, reference),
        other => panic!("esm_class {other:#x}"),
    }
}
