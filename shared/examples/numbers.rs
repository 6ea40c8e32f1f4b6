//! How Tollgate reads each line of the standard input as a phone number: the number, its region and its type, or why it is none. For
//! `.ci/compare_numbers.py`, which compares it with the newest libphonenumber.

use shared::phone::number::PhoneNumber;
use std::io::{self, BufRead as _, Write as _};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        match PhoneNumber::parse(&line?) {
            Ok(number) => {
                let region = number.region().map_or_else(|| "none".to_owned(), |region| region.to_string());
                writeln!(out, "{}\t{region}\t{}", number.as_str(), number.number_type().as_str())?;
            }
            Err(reason) => writeln!(out, "-\t-\t{reason}")?,
        }
    }
    out.flush()
}
