//! Whatever comes from outside: a few hundred inputs by chance for each place where something comes in.
//! `tests/run fuzz` makes a million.

use fraud_job_watch::settings::{LambdaSettings, VARIABLES};
use proptest::prelude::*;

use crate::fuzz::check_bounded;
use crate::fuzz::inputs::{SURFACES, Surface};
use crate::fuzz::mutation::{mutated, seeds};

fn surface() -> impl Strategy<Value = Surface> {
    prop::sample::select(SURFACES.to_vec())
}

#[test]
fn a_good_input_holds() {
    for surface in SURFACES {
        for seed in seeds(surface) {
            check_bounded(surface, seed);
        }
    }
}

/// Else what is done to them would show little of what stands behind.
#[test]
fn the_good_settings_are_good() {
    for seed in seeds(Surface::Settings) {
        let values: Vec<_> = std::str::from_utf8(seed).unwrap().split('\n').collect();
        assert_eq!(values.len(), VARIABLES.len(), "{values:?}");
        let value_of = |name: &str| {
            let mut values = VARIABLES.iter().zip(&values);
            let (_, value) = values.find(|(it, _)| it.name == name)?;
            Some((*value).to_owned())
        };
        LambdaSettings::read(value_of).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_good_input_that_was_tampered_with_holds(
        surface in surface(),
        first: u64,
        moves in prop::collection::vec(any::<u64>(), 1..8),
    ) {
        check_bounded(surface, &mutated(surface, first, &moves));
    }

    #[test]
    fn any_text_holds(surface in surface(), text: String) {
        check_bounded(surface, text.as_bytes());
    }
}
