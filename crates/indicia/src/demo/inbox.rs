//! What the built-in mailbox provider has received: one `.eml` file a mail, its envelope beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use indicia_console::demo::{DemoError, DemoInbox, InboxEntry, InboxMail};
use indicia_domain::time::UnixMicros;
use mail_parser::MessageParser;
use serde::{Deserialize, Serialize};

/// Mails that are kept; the oldest go first.
const MAILS_MAX: usize = 5_000;

/// The inbox, with the envelopes of all mails in memory.
pub struct Inbox {
    folder: PathBuf,
    /// Oldest first.
    entries: Mutex<Vec<InboxEntry>>,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    received_at: i64,
    mail_from: String,
    /// Absent in envelopes that earlier versions wrote.
    #[serde(default)]
    from: String,
    recipients: Vec<String>,
    subject: String,
    size_bytes: u64,
}

impl Inbox {
    /// Opens the folder and reads the envelopes in it.
    pub fn open(folder: PathBuf) -> Result<Inbox, String> {
        let failed = |error: io::Error| format!("the inbox {} cannot be used: {error}", folder.display());
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut entries = Vec::new();
        for file in fs::read_dir(&folder).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            entries.extend(read_envelope(&path));
        }
        entries.sort_by_key(|entry| entry.id);
        Ok(Inbox { folder, entries: Mutex::new(entries) })
    }

    /// Keeps a mail; returns only when it is in its files.
    pub fn receive(
        &self,
        at: UnixMicros,
        mail_from: &str,
        recipients: Vec<String>,
        content: &[u8],
    ) -> io::Result<()> {
        let headers = MessageParser::default().parse_headers(content);
        let subject = headers.as_ref().and_then(|message| message.subject()).unwrap_or_default().to_owned();
        let author = headers.as_ref().and_then(|message| message.from()?.first()?.address());
        let from = author.unwrap_or_default().to_owned();
        let mut entries = self.entries.lock().unwrap_or_else(|broken| broken.into_inner());
        let id = entries.last().map_or(1, |entry| entry.id + 1);
        let entry = InboxEntry {
            id,
            received_at: at,
            mail_from: mail_from.to_owned(),
            from,
            recipients,
            subject,
            size_bytes: content.len() as u64,
        };
        let envelope = Envelope {
            received_at: at.0,
            mail_from: entry.mail_from.clone(),
            from: entry.from.clone(),
            recipients: entry.recipients.clone(),
            subject: entry.subject.clone(),
            size_bytes: entry.size_bytes,
        };
        fs::write(self.path(id, "eml"), content)?;
        fs::write(self.path(id, "json"), serde_json::to_vec(&envelope)?)?;
        entries.push(entry);
        if entries.len() > MAILS_MAX {
            let oldest = entries.remove(0).id;
            for kind in ["json", "eml"] {
                // Gone already is as good.
                let _ = fs::remove_file(self.path(oldest, kind));
            }
        }
        Ok(())
    }

    fn path(&self, id: i64, kind: &str) -> PathBuf {
        self.folder.join(format!("{id:08}.{kind}"))
    }

    fn entries(&self) -> Vec<InboxEntry> {
        self.entries.lock().unwrap_or_else(|broken| broken.into_inner()).clone()
    }
}

fn read_envelope(path: &Path) -> Option<InboxEntry> {
    if path.extension()? != "json" {
        return None;
    }
    let id = path.file_stem()?.to_str()?.parse().ok()?;
    let envelope: Envelope = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    Some(InboxEntry {
        id,
        received_at: UnixMicros(envelope.received_at),
        mail_from: envelope.mail_from,
        from: envelope.from,
        recipients: envelope.recipients,
        subject: envelope.subject,
        size_bytes: envelope.size_bytes,
    })
}

#[async_trait]
impl DemoInbox for Inbox {
    async fn list(&self, before: Option<i64>, limit: usize) -> Result<Vec<InboxEntry>, DemoError> {
        let newest_first = self.entries().into_iter().rev();
        Ok(newest_first.filter(|entry| before.is_none_or(|before| entry.id < before)).take(limit).collect())
    }

    async fn read(&self, id: i64) -> Result<Option<InboxMail>, DemoError> {
        let Some(entry) = self.entries().into_iter().find(|entry| entry.id == id) else { return Ok(None) };
        let raw = fs::read(self.path(id, "eml"))
            .map_err(|error| DemoError(format!("mail {id} cannot be read: {error}")))?;
        Ok(Some(InboxMail { entry, raw }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn mails_are_there_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(folder.path().join("inbox")).unwrap();
        for number in 1..=3 {
            let content =
                format!("Subject: =?utf-8?q?Number_{number}?=\r\nFrom: Ann <ann@example.org>\r\n\r\nHi.\r\n");
            inbox
                .receive(
                    UnixMicros(number),
                    "b-1@bounces.example.org",
                    vec!["to@example.net".into()],
                    content.as_bytes(),
                )
                .unwrap();
        }
        let again = Inbox::open(folder.path().join("inbox")).unwrap();
        let listed = again.list(Some(3), 10).await.unwrap();
        assert_eq!(
            listed.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>(),
            ["Number 2", "Number 1"]
        );
        assert_eq!(listed[0].from, "ann@example.org", "who wrote it, not the return path");
        assert!(again.read(3).await.unwrap().unwrap().raw.starts_with(b"Subject:"));
        assert!(again.read(4).await.unwrap().is_none());
    }
}
