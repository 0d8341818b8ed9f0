//! Statements over many rows at once.
//!
//! A group commit writes the rows of a whole batch with few statements: round trips to the engine, not rows, are
//! what costs. To keep the number of distinct statements small (each is prepared once and cached), rows go out
//! in chunks of 64, 16, 4 and 1.

use std::sync::{Arc, OnceLock};

use sqlx::any::{AnyArguments, AnyRow};
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
    numbered: OnceLock<Vec<Arc<str>>>,
    unnumbered: OnceLock<Vec<Arc<str>>>,
}

pub(crate) type AnyQuery<'q> = Query<'q, Any, AnyArguments>;

impl Bulk {
    pub const fn new(head: &'static str, row: &'static str, tail: &'static str) -> Self {
        Bulk { head, row, separator: ", ", tail, numbered: OnceLock::new(), unnumbered: OnceLock::new() }
    }

    /// `head (…) OR (…)`: SQLite looks each row up by its key; of `IN (VALUES …)` it would make a scan.
    pub const fn any_of(head: &'static str, row: &'static str) -> Self {
        Bulk {
            head,
            row,
            separator: " OR ",
            tail: "",
            numbered: OnceLock::new(),
            unnumbered: OnceLock::new(),
        }
    }

    /// SQLite looks a numbered parameter's name up in a list, for each parameter from the start: with the hundreds
    /// that a chunk has, that would cost more than the rows. Parameters without numbers have no name.
    fn texts(&self, backend: &str) -> &[Arc<str>] {
        let (texts, numbered) = match backend {
            "SQLite" => (&self.unnumbered, false),
            _ => (&self.numbered, true),
        };
        texts.get_or_init(|| CHUNKS.iter().map(|&rows| self.text(rows, numbered)).collect())
    }

    fn text(&self, rows: usize, numbered: bool) -> Arc<str> {
        let mut sql = String::from(self.head);
        let mut parameter = 0;
        for row in 0..rows {
            sql.push_str(if row == 0 { " " } else { self.separator });
            for piece in self.row.chars() {
                if piece != '$' {
                    sql.push(piece);
                } else if numbered {
                    parameter += 1;
                    sql.push_str(&format!("${parameter}"));
                } else {
                    sql.push('?');
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
        let backend = connection.backend_name().to_owned();
        for (&size, text) in CHUNKS.iter().zip(self.texts(&backend)) {
            while rest.len() >= size {
                let (chunk, after) = rest.split_at(size);
                let query = chunk.iter().fold(sqlx::query(AssertSqlSafe(text.clone())), &bind);
                affected += query.execute(&mut *connection).await?.rows_affected();
                rest = after;
            }
        }
        Ok(affected)
    }

    /// The same for a statement that ends in `RETURNING`: the rows that it gives.
    pub async fn returning<T>(
        &self,
        connection: &mut AnyConnection,
        rows: &[T],
        bind: impl for<'q> Fn(AnyQuery<'q>, &T) -> AnyQuery<'q>,
    ) -> Result<Vec<AnyRow>> {
        let mut returned = Vec::new();
        let mut rest = rows;
        let backend = connection.backend_name().to_owned();
        for (&size, text) in CHUNKS.iter().zip(self.texts(&backend)) {
            while rest.len() >= size {
                let (chunk, after) = rest.split_at(size);
                let query = chunk.iter().fold(sqlx::query(AssertSqlSafe(text.clone())), &bind);
                returned.extend(query.fetch_all(&mut *connection).await?);
                rest = after;
            }
        }
        Ok(returned)
    }
}

/// The text for an engine: without numbers for SQLite (see [`Bulk`]). Parameters must stand in their order, each once.
pub(crate) fn in_dialect(backend: &str, sql: String) -> String {
    if backend != "SQLite" {
        return sql;
    }
    let mut pieces = sql.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text.push('?');
        text.push_str(piece.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    }
    text
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
        assert_eq!(
            &*bulk.text(2, true),
            "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING"
        );
        let delete = Bulk::any_of("DELETE FROM t WHERE", "(a = $ AND b = $)");
        assert_eq!(&*delete.text(2, true), "DELETE FROM t WHERE (a = $1 AND b = $2) OR (a = $3 AND b = $4) ");
        assert_eq!(&*delete.text(1, false), "DELETE FROM t WHERE (a = ? AND b = ?) ");
        assert_eq!(in_dialect("SQLite", "a = $1 AND b IN ($2, $13)".to_owned()), "a = ? AND b IN (?, ?)");
    }
}
