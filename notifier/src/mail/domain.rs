//! Whose letters share the places in which letters wait.

/// So many labels of a domain count: whoever has one domain has any number below it.
const LABELS: usize = 2;

/// What an address shares with the others of its operator, as far as a name can tell: the end of its domain, in
/// small letters. (Two operators below `co.uk` count as one; that only matters while places are rare.)
pub(super) fn operator_of(address: &str) -> String {
    let domain = address.rsplit('@').next().unwrap_or(address);
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let from = domain.rmatch_indices('.').nth(LABELS - 1).map_or(0, |(dot, _)| dot + 1);
    domain[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_domain_has_those_below_it() {
        for (address, operator) in [
            ("zoe@example.com", "example.com"),
            ("zoe@EXAMPLE.com.", "example.com"),
            ("zoe@a.b.example.com", "example.com"),
            ("\"a@b\"@mail.example.com", "example.com"),
            ("zoe@localhost", "localhost"),
            ("zoe@bücher.example", "bücher.example"),
            ("nobody", "nobody"),
            ("", ""),
        ] {
            assert_eq!(operator_of(address), operator, "{address}");
        }
    }
}
