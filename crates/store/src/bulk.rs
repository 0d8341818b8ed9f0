//! Statements over many rows at once.
//!
//! A group commit writes the rows of a whole batch with few statements: round trips to the engine, not rows, are
//! what costs. To keep the number of distinct statements small (each is prepared once and cached), rows go out
//! in chunks of 64, 16, 4 and 1.

use std::sync::{Arc, OnceLock};

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe};

use crate::error::Result;

const CHUNKS: [usize; 4] = [64, 16, 4, 1];

/// One statement `head (…), (…) tail` for any number of rows.
pub(crate) struct Bulk {
    head: &'static str,
    /// Placeholders of one row; `$` stands for the next parameter.
    row: &'static str,
    separator: &'static str,
    tail: &'static str,
    texts: OnceLock<Vec<Arc<str>>>,
}

pub(crate) type AnyQuery<'q> = Query<'q, Any, AnyArguments>;

impl Bulk {
    pub const fn new(head: &'static str, row: &'static str, tail: &'static str) -> Self {
        Bulk { head, row, separator: ", ", tail, texts: OnceLock::new() }
    }

    /// `head (…) OR (…)`: SQLite looks each row up by its key; of `IN (VALUES …)` it would make a scan.
    pub const fn any_of(head: &'static str, row: &'static str) -> Self {
        Bulk { head, row, separator: " OR ", tail: "", texts: OnceLock::new() }
    }

    fn texts(&self) -> &[Arc<str>] {
        self.texts.get_or_init(|| CHUNKS.iter().map(|&rows| self.text(rows)).collect())
    }

    fn text(&self, rows: usize) -> Arc<str> {
        let mut sql = String::from(self.head);
        let mut parameter = 0;
        for row in 0..rows {
            sql.push_str(if row == 0 { " " } else { self.separator });
            for piece in self.row.chars() {
                sql.push(piece);
                if piece == '$' {
                    parameter += 1;
                    sql.push_str(&parameter.to_string());
                }
            }
        }
        sql.push(' ');
        sql.push_str(self.tail);
        sql.into()
    }

    /// Runs the statement over `rows`; `bind` binds one row's values in order. Returns the rows affected.
    pub async fn run<T>(
        &self,
        connection: &mut AnyConnection,
        rows: &[T],
        bind: impl for<'q> Fn(AnyQuery<'q>, &T) -> AnyQuery<'q>,
    ) -> Result<u64> {
        let mut affected = 0;
        let mut rest = rows;
        for (&size, text) in CHUNKS.iter().zip(self.texts()) {
            while rest.len() >= size {
                let (chunk, after) = rest.split_at(size);
                let query = chunk.iter().fold(sqlx::query(AssertSqlSafe(text.clone())), &bind);
                affected += query.execute(&mut *connection).await?.rows_affected();
                rest = after;
            }
        }
        Ok(affected)
    }
}

/// Chunks of a fixed size, the last filled up by repeating its last element: one prepared statement serves all.
pub(crate) fn filled<T: Clone>(all: &[T], size: usize) -> impl Iterator<Item = Vec<T>> + '_ {
    all.chunks(size).map(move |chunk| {
        let mut chunk = chunk.to_vec();
        if let Some(last) = chunk.last().cloned() {
            chunk.resize(size, last);
        }
        chunk
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_gets_its_own_parameters() {
        let bulk = Bulk::new("INSERT INTO t (a, b) VALUES", "($, $)", "ON CONFLICT DO NOTHING");
        assert_eq!(&*bulk.text(2), "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING");
    }
}
