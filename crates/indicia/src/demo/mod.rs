//! `indicia demo`: the whole service on loopback with nothing to configure.
//!
//! It is the real service with three things beside it: a built-in mailbox provider to which every mail is
//! routed, so that nothing leaves the machine; an account that is set up already; and a clock that can be moved
//! forward, so that anyone can watch quota reset, packages lapse and retries happen.

mod account;
mod clock;
mod first_mail;
mod inbox;
mod provider;
mod snippets;
mod texts;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicia_console::Demo;
use indicia_domain::time::Clock;
use indicia_store::Store;

use crate::cli::output::print;
use crate::cli::{Done, Failure, Opened};
use crate::clock::ShiftedClock;
use crate::config::{Config, LogFormat, RouteSection};
use crate::logging;
use crate::serve::{Beside, Service, StopSignals};

pub use clock::stored_shift;

/// Runs the demo until it is told to stop.
pub async fn run(data: Option<PathBuf>) -> Done {
    let signals = StopSignals::catch()?;
    let folder = Folder::open(data)?;
    let config = configure(folder.path())?;
    logging::start(&config.log).map_err(Failure::usage)?;
    let clock = Arc::new(ShiftedClock::default());
    let store = Store::open(&config.store.url, &config.data_dir, clock.clone() as Arc<dyn Clock>).await?;
    if let Some(ahead) = stored_shift(&store).await? {
        clock.set_ahead_micros(ahead);
    }
    let inbox = Arc::new(inbox::Inbox::open(folder.path().join("inbox")).map_err(Failure::failed)?);
    let provider = provider::start(inbox.clone(), clock.clone()).await?;
    let config = routed_to(config, provider);
    let opened = Opened { config: config.clone(), store: store.clone() };
    config.set_policies(&store)?;
    let credentials = account::prepare(&opened, folder.path()).await?;
    let texts = Arc::new(texts::InboxTexts { inbox: inbox.clone(), clock: clock.clone() });
    let parts =
        Demo { inbox, clock: Arc::new(clock::MovableClock { clock: clock.clone(), store: store.clone() }) };
    let beside = Beside { demo: Some(parts), sms: Some(texts) };
    let service = Service::start(&config, store.clone(), clock, beside).await?;
    let first = first_mail::send(&service, &credentials).await?;
    let welcome = snippets::welcome(&config, &service.addresses, &credentials, &first);
    let printed = print(format_args!("{welcome}ready"));
    // A demo that nobody can see is of no use: it ends as if it had been told to.
    if printed.is_ok() {
        signals.wait().await;
    }
    service.stop().await;
    drop(folder);
    printed
}

/// Where the demo keeps its data: a folder of the user's, or one that goes when the demo ends.
enum Folder {
    Kept(PathBuf),
    Passing(PathBuf),
}

impl Folder {
    fn open(data: Option<PathBuf>) -> Result<Folder, Failure> {
        let folder = match data {
            Some(path) => Folder::Kept(path),
            None => Folder::Passing(
                std::env::temp_dir().join(format!("indicia-demo-{}", crate::secrets::random_text(10))),
            ),
        };
        indicia_store::private_folder(folder.path()).map_err(|error| {
            Failure::failed(format!("the folder {} cannot be made: {error}", folder.path().display()))
        })?;
        Ok(folder)
    }

    fn path(&self) -> &Path {
        match self {
            Folder::Kept(path) | Folder::Passing(path) => path,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Folder::Passing(path) = self
            && let Err(error) = std::fs::remove_dir_all(&*path)
        {
            eprintln!("indicia: the demo's folder {} could not be removed: {error}", path.display());
        }
    }
}

/// The defaults on the usual ports, or on others where these are taken.
fn configure(folder: &Path) -> Result<Config, Failure> {
    let mut config = Config::load(None)?;
    config.data_dir = folder.to_path_buf();
    config.store.url = "sqlite".to_owned();
    config.log.format = LogFormat::Text;
    config.log.level = std::env::var("INDICIA_LOG__LEVEL").unwrap_or_else(|_| "warn".to_owned());
    config.delivery.hostname = "mail.demo.example".to_owned();
    config.notices.from = Some("billing@mail.demo.example".to_owned());
    config.api.listen = free(config.api.listen)?;
    config.console.listen = free(config.console.listen)?;
    config.metrics.listen = free(config.metrics.listen)?;
    let doors =
        [&mut config.submission.listen, &mut config.submission.tls_listen, &mut config.inbound.listen];
    for address in doors.into_iter().flatten() {
        *address = free(*address)?;
    }
    config.console.public_url = format!("http://{}", config.console.listen);
    Ok(config)
}

/// The address itself if its port is free, else one with a free port.
fn free(address: SocketAddr) -> Result<SocketAddr, Failure> {
    let taken = |error: std::io::Error| Failure::failed(format!("no free port on {}: {error}", address.ip()));
    match TcpListener::bind(address) {
        Ok(_) => Ok(address),
        Err(_) => {
            let probe = TcpListener::bind((address.ip(), 0)).map_err(taken)?;
            probe.local_addr().map_err(taken)
        }
    }
}

fn routed_to(mut config: Config, provider: SocketAddr) -> Config {
    config.delivery.route = vec![RouteSection {
        domain: "*".to_owned(),
        host: provider.ip().to_string(),
        port: Some(provider.port()),
    }];
    config.delivery.retry_pauses_seconds = vec![15, 60, 300];
    config
}
