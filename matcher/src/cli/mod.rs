//! A matcher on the command line, for experiments, scripts and debugging: JSON lines in, JSON lines
//! out, on the same machine that runs over Kafka. The format is in `docs/match.md`.
//!
//! - `command`: what a line says
//! - `desk`: one machine with one instrument whose tick is 1
//! - `answer`: what the machine's records say
//! - `book`: the book at the end

mod answer;
mod book;
mod command;
mod desk;

use std::io::{self, BufRead, Write};

pub use command::{Line, Op};
pub use desk::{Desk, Rules};

/// Reads commands to the end of `input` and writes an answer to each. Answers are written out when no
/// further line is waiting, so a program can wait for the answer to its line.
///
/// # Errors
/// When `input` cannot be read, or `output` cannot be written.
pub fn run(rules: Rules, show_book: bool, input: impl io::Read, output: impl Write) -> io::Result<()> {
    let mut input = io::BufReader::with_capacity(1 << 16, input);
    let mut output = io::BufWriter::with_capacity(1 << 16, output);
    let mut desk = Desk::new(rules);
    let (mut line, mut answer) = (Vec::new(), Vec::new());
    for number in 1_u64.. {
        if input.buffer().is_empty() {
            output.flush()?;
        }
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        answer.clear();
        match Line::parse(&line) {
            Ok(line) => desk.answer(&line, &mut answer),
            Err(error) => answer::error(&error, number, &mut answer),
        }
        answer.push(b'\n');
        output.write_all(&answer)?;
    }
    if show_book {
        answer.clear();
        book::write(desk.book(), &mut answer);
        answer.push(b'\n');
        output.write_all(&answer)?;
    }
    output.flush()
}
