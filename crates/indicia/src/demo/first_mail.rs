//! The demo's first mail: really sent over SMTP submission, admitted, charged and delivered to the provider.

use std::time::Duration;

use bytes::Bytes;
use indicia_domain::mail::State;
use indicia_smtp::client::{Config, Event, Outcome, Session, Transaction};
use indicia_store::message::LogQuery;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::account::{Credentials, SENDER};
use crate::cli::Failure;
use crate::serve::Service;

pub const RECIPIENT: &str = "customer@mailbox.demo.example";
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of it.
pub struct FirstMail {
    pub message_id: i64,
    pub state: State,
    pub reply: String,
}

/// Sends the mail and waits until its fate is known; a demo that goes on from before has it already.
pub async fn send(service: &Service, credentials: &Credentials) -> Result<FirstMail, Failure> {
    if let Some(mail) = newest(service, credentials).await? {
        return Ok(mail);
    }
    let address =
        service.addresses.submission.first().ok_or_else(|| Failure::failed("no submission listener"))?;
    let stream = TcpStream::connect(address).await.map_err(Failure::failed)?;
    match timeout(PATIENCE, submit(stream, credentials)).await {
        Ok(done) => {
            done.map_err(|error| Failure::failed(format!("the demo's first mail was not accepted: {error}")))?
        }
        Err(_) => return Err(Failure::failed("the demo's own submission listener did not answer in time")),
    }
    let until = Instant::now() + PATIENCE;
    loop {
        match newest(service, credentials).await? {
            Some(mail) if mail.state != State::Waiting || Instant::now() >= until => return Ok(mail),
            _ if Instant::now() >= until => {
                return Err(Failure::failed("the demo's first mail is not in the log"));
            }
            _ => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn newest(service: &Service, credentials: &Credentials) -> Result<Option<FirstMail>, Failure> {
    let rows = service.store.mail_log(&LogQuery::all(credentials.account_id, 1)).await?;
    Ok(rows.into_iter().next().map(|row| FirstMail {
        message_id: row.message_id,
        state: row.state,
        reply: row.reply,
    }))
}

async fn submit(mut stream: TcpStream, credentials: &Credentials) -> Result<(), String> {
    let mut client = Session::new(Config { hello_name: "localhost".to_owned(), pipelining: true });
    let (mut input, mut output) = (vec![0; 4096], Vec::new());
    loop {
        while let Some(event) = client.next_event() {
            match event {
                Event::Ready => client
                    .auth_plain(SENDER, &credentials.smtp_password)
                    .map_err(|error| error.to_string())?,
                Event::Authenticated { .. } => {
                    client.send(first_mail()).map_err(|error| error.to_string())?
                }
                Event::Finished(result) => {
                    return match result.recipients.into_iter().next().map(|recipient| recipient.outcome) {
                        Some(Outcome::Accepted { .. }) => Ok(()),
                        other => Err(format!("{other:?}")),
                    };
                }
                Event::Refused { reply, .. } | Event::AuthRefused { reply } => return Err(reply.to_string()),
                Event::Closed { reply } => return Err(format!("the connection was closed: {reply:?}")),
                Event::ProtocolError(error) => return Err(error.to_string()),
                Event::Greeted { .. } | Event::TlsReady | Event::TlsRefused { .. } | Event::Reset { .. } => {}
            }
        }
        output.clear();
        client.take_output(&mut output);
        if !output.is_empty() {
            stream.write_all(&output).await.map_err(|error| error.to_string())?;
            continue;
        }
        let length = stream.read(&mut input).await.map_err(|error| error.to_string())?;
        if length == 0 {
            client.connection_lost();
        } else {
            client.receive(&input[..length]);
        }
    }
}

fn first_mail() -> Transaction {
    let content = format!(
        "From: Demo Shop <{SENDER}>\r\nTo: <{RECIPIENT}>\r\nSubject: Your first mail through Indicia\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
         This mail was accepted over SMTP, counted against the daily quota, paid for out of the free credit,\r\n\
         made durable, signed with DKIM and delivered to the demo's built-in mailbox provider.\r\n"
    );
    Transaction {
        reverse_path: SENDER.to_owned(),
        recipients: vec![RECIPIENT.to_owned()],
        smtputf8: false,
        content: vec![Bytes::from(content)],
    }
}
