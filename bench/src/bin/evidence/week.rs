//! The rows that a week of mail leaves behind, made from the mails one by one, so that the tables agree with each
//! other as they do in service: what was accepted in the slices of a day is what its cells hold, and the sketches
//! have seen the very recipients.

use indicia_domain::mail::provider::Provider;
use indicia_domain::quota::evidence::Counts;
use indicia_domain::quota::reach::{Sketch, hash_of};
use indicia_domain::quota::week::WEEK_DAYS;
use indicia_domain::time::{DAY_MICROS, UnixMicros};
use indicia_store::evidence::SLICE_MICROS;
use sqlx::{AnyConnection, AssertSqlSafe, Executor};

use indicia_bench::database::Fault;

/// Slices of five minutes in a day.
pub const DAY_SLICES: usize = (DAY_MICROS / SLICE_MICROS) as usize;
const DAYS: usize = WEEK_DAYS as usize;
/// Rows of one statement; sketches have up to 2 KiB.
const ROWS_MAX: usize = 400;
const SKETCHES_MAX: usize = 40;
const EVIDENCE: &str = "INSERT INTO evidence (account_id, slice, sender_id, domain_id, accepted, delivered, invalid, spam, failed, \
     reported, deferred, judged, reporting, blamed, accused) VALUES ";
const CELLS: &str = "INSERT INTO outcome_day (account_id, day, sender_id, tag, provider, domain_id, accepted, delivered, invalid, \
     spam, failed, reported, deferred) VALUES ";
const SKETCHES: &str = "INSERT INTO reach (account_id, day, kind, name, domain_id, sketch) VALUES ";

/// Who sends how much in a week.
#[derive(Clone, Copy)]
pub struct Shape {
    pub mails: u64,
    /// All of them are written to.
    pub recipients: u64,
    pub senders: usize,
    pub tags: usize,
    /// Every day's mails go out in this many slices from `first_slice` on.
    pub slices_a_day: usize,
    pub first_slice: usize,
}

/// What one sender address has in one slice or cell.
type Row = Counts;

/// A week in memory, each list in the order of its table's key.
pub struct Week {
    shape: Shape,
    start: UnixMicros,
    slices: Vec<Row>,
    cells: Vec<Row>,
    by_sender: Vec<Sketch>,
    by_tag: Vec<Sketch>,
    by_provider: Vec<Sketch>,
}

/// Bits that differ for neighbours (the finaliser of splitmix64).
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Where a recipient has its mailbox: of ten, three at Gmail, two at Outlook.com, one each elsewhere.
fn provider_of(recipient: u64) -> usize {
    match mixed(recipient) % 10 {
        0..3 => 0,
        3 | 4 => 2,
        5 => 1,
        other => other as usize - 3,
    }
}

/// What became of a mail: one in a hundred has an address that does not exist, as good senders have.
fn fate_of(bits: u64, is_reporting: bool) -> Row {
    let mut row = Counts { accepted: 1, ..Counts::default() };
    match bits % 1_000 {
        0..10 => row.invalid = 1,
        10..12 => row.spam = 1,
        12..20 => row.failed = 1,
        20..50 => (row.delivered, row.deferred) = (1, 1),
        _ => row.delivered = 1,
    }
    if is_reporting && row.delivered == 1 {
        row.reporting = 1;
        row.reported = i64::from((bits >> 32).is_multiple_of(2_000));
    }
    row
}

impl Week {
    /// The week from `start` on; `seed` tells one account's recipients from another's.
    pub fn make(shape: Shape, start: UnixMicros, seed: u64) -> Week {
        let kinds = Provider::ALL.len();
        let sketches = |count: usize| vec![Sketch::default(); DAYS * count];
        let mut week = Week {
            shape,
            start,
            slices: vec![Row::default(); DAYS * DAY_SLICES * shape.senders],
            cells: vec![Row::default(); DAYS * shape.senders * shape.tags * kinds],
            by_sender: sketches(shape.senders),
            by_tag: sketches(shape.tags),
            by_provider: sketches(kinds),
        };
        let recipients: Vec<(u64, usize)> = (0..shape.recipients)
            .map(|number| (hash_of(&format!("user{number}.{seed}@example.net")), provider_of(number)))
            .collect();
        let sent_slices = (DAYS * shape.slices_a_day) as u64;
        for mail in 0..shape.mails {
            let sent = (mail * sent_slices / shape.mails) as usize;
            let (day, slice) = (sent / shape.slices_a_day, shape.first_slice + sent % shape.slices_a_day);
            let (hash, provider) = recipients[(mail % shape.recipients) as usize];
            week.add(day, slice, mixed(mail ^ (seed << 40)), hash, provider);
        }
        week
    }

    fn add(&mut self, day: usize, slice: usize, bits: u64, hash: u64, provider: usize) {
        let Shape { senders, tags, .. } = self.shape;
        let kinds = Provider::ALL.len();
        let (sender, tag) = ((bits >> 8) as usize % senders, (bits >> 16) as usize % tags);
        let is_reporting = matches!(Provider::ALL[provider], Provider::Outlook | Provider::Yahoo);
        let row = fate_of(bits, is_reporting);
        self.slices[(day * DAY_SLICES + slice) * senders + sender].add(&row);
        self.cells[((day * senders + sender) * tags + tag) * kinds + provider].add(&row);
        self.by_sender[day * senders + sender].insert(hash);
        self.by_tag[day * tags + tag].insert(hash);
        self.by_provider[day * kinds + provider].insert(hash);
    }

    /// Writes the rows; returns how many there are of `evidence`, `outcome_day` and `reach`.
    pub async fn write(
        &self,
        connection: &mut AnyConnection,
        account_id: i64,
        is_sqlite: bool,
    ) -> Result<[usize; 3], Fault> {
        let (slices, cells) = (self.slice_rows(account_id), self.cell_rows(account_id));
        let sketches = self.sketch_rows(account_id, is_sqlite);
        insert(connection, EVIDENCE, &slices, ROWS_MAX).await?;
        insert(connection, CELLS, &cells, ROWS_MAX).await?;
        insert(connection, SKETCHES, &sketches, SKETCHES_MAX).await?;
        Ok([slices.len(), cells.len(), sketches.len()])
    }

    fn first_day(&self) -> i64 {
        self.start.0.div_euclid(DAY_MICROS)
    }

    fn slice_rows(&self, account_id: i64) -> Vec<String> {
        let senders = self.shape.senders;
        let sent = self.slices.iter().enumerate().filter(|(_, row)| row.accepted > 0);
        sent.map(|(place, row)| {
            let at = self.start.0 + (place / senders) as i64 * SLICE_MICROS;
            let (sender, domain) = named(place % senders);
            let Row { reported, deferred, judged, reporting, .. } = row;
            let counts = counts_of(row);
            format!("({account_id}, {at}, {sender}, {domain}, {counts}, {reported}, {deferred}, {judged}, {reporting}, {reported}, 0)")
        })
        .collect()
    }

    fn cell_rows(&self, account_id: i64) -> Vec<String> {
        let (Shape { senders, tags, .. }, kinds) = (self.shape, Provider::ALL.len());
        let used = self.cells.iter().enumerate().filter(|(_, row)| row.accepted > 0);
        used.map(|(place, row)| {
            let provider = Provider::ALL[place % kinds];
            let tag = tag_name(place / kinds % tags);
            let (sender, domain) = named(place / kinds / tags % senders);
            let day = self.first_day() + (place / kinds / tags / senders) as i64;
            let Row { reported, deferred, .. } = row;
            let counts = counts_of(row);
            format!("({account_id}, {day}, {sender}, '{tag}', '{provider}', {domain}, {counts}, {reported}, {deferred})")
        })
        .collect()
    }

    fn sketch_rows(&self, account_id: i64, is_sqlite: bool) -> Vec<String> {
        let mut rows = Vec::new();
        let mut add = |kind: &str, sketches: &[Sketch], name: &dyn Fn(usize) -> (String, i64)| {
            let each_day = sketches.len() / DAYS;
            for (place, sketch) in sketches.iter().enumerate().filter(|(_, sketch)| sketch.count() > 0) {
                let day = self.first_day() + (place / each_day) as i64;
                let (name, domain) = name(place % each_day);
                let bytes = hex::encode(sketch.to_bytes());
                let bytes = if is_sqlite { format!("X'{bytes}'") } else { format!("'\\x{bytes}'") };
                rows.push(format!("({account_id}, {day}, '{kind}', '{name}', {domain}, {bytes})"));
            }
        };
        add("sender", &self.by_sender, &|place| {
            let (sender, domain) = named(place);
            (sender.to_string(), domain)
        });
        add("tag", &self.by_tag, &|place| (tag_name(place), 0));
        add("provider", &self.by_provider, &|place| (Provider::ALL[place].to_string(), 0));
        rows
    }

    /// Accepted on the last day.
    pub fn last_day_mails(&self) -> i64 {
        let last = &self.slices[(DAYS - 1) * DAY_SLICES * self.shape.senders..];
        last.iter().map(|row| row.accepted).sum()
    }
}

/// A sender address's id, and its domain's: three addresses a domain.
fn named(sender: usize) -> (i64, i64) {
    (sender as i64 + 1, sender as i64 / 3 + 1)
}

fn tag_name(tag: usize) -> String {
    format!("campaign-{tag}")
}

fn counts_of(row: &Row) -> String {
    let Row { accepted, delivered, invalid, spam, failed, .. } = row;
    format!("{accepted}, {delivered}, {invalid}, {spam}, {failed}")
}

async fn insert(
    connection: &mut AnyConnection,
    head: &str,
    rows: &[String],
    each: usize,
) -> Result<(), Fault> {
    for chunk in rows.chunks(each) {
        connection.execute(AssertSqlSafe(format!("{head}{}", chunk.join(", ")))).await?;
    }
    Ok(())
}
