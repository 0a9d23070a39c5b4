//! What a notice is known by: whose jobs, its id, and its kind.

use fraud_job_watch::settings::VARIABLES;
use fraud_job_watch::watch::{Kind, NoticeId, Severity, Source, SourceKind};

const SOURCE: &str = "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction";

#[test]
fn a_source_is_read_of_any_arn_of_its_region_and_account() {
    for arn in [
        SOURCE,
        "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction/j",
        "arn:aws:lambda:eu-west-1:123456789012:function:watch",
    ] {
        let source = Source::of_arn(arn).unwrap();
        assert_eq!(
            (source.region(), source.account()),
            ("eu-west-1", "123456789012")
        );
        assert_eq!(
            (source.to_string(), String::from(source)),
            (SOURCE.to_owned(), SOURCE.to_owned())
        );
    }
    for arn in [
        "",
        "arn:aws:s3:::bucket",
        "arn:aws:lambda:eu-west-1:123456789012",
        "arn:aws:lambda:eu-west-1::function:watch",
        "arn:aws:lambda:eu\nwest:123456789012:function:watch",
        "urn:aws:lambda:eu-west-1:123456789012:function:watch",
    ] {
        assert!(Source::of_arn(arn).is_err(), "{arn:?}");
    }
}

#[test]
fn a_source_is_of_imports_only_if_its_arn_says_so() {
    let imports = SOURCE.replace("prediction", "import");
    for arn in [imports.clone(), format!("{imports}/j")] {
        let source = Source::of_arn(&arn).unwrap();
        assert_eq!(source.kind(), SourceKind::BatchImports);
        assert_eq!(source.to_string(), imports);
        assert_eq!(
            source.with_kind(SourceKind::BatchPredictions).to_string(),
            SOURCE
        );
    }
    for arn in [
        SOURCE,
        "arn:aws:lambda:eu-west-1:123456789012:batch-import",
        "arn:aws:frauddetector:eu-west-1:123456789012:batch-imports",
    ] {
        let source = Source::of_arn(arn).unwrap();
        assert_eq!(source.kind(), SourceKind::BatchPredictions, "{arn}");
    }
}

#[test]
fn an_id_has_64_digits_and_that_of_a_digest_is_the_same_in_any_order() {
    let source: Source = SOURCE.parse().unwrap();
    let [a, b, c] =
        ["1", "2", "3"].map(|episode| NoticeId::new(&source, None, Kind::Began, episode));
    assert_eq!(NoticeId::try_from(a.as_str().to_owned()), Ok(a.clone()));
    for wrong in [
        &a.as_str()[1..],
        &a.as_str().replacen(char::is_numeric, "A", 1),
        "",
    ] {
        assert!(NoticeId::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
    }
    assert_eq!(a.to_string(), a.as_str());
    let digest = NoticeId::of_digest([&a, &b].into_iter());
    assert_eq!(NoticeId::of_digest([&b, &a].into_iter()), digest);
    assert_ne!(NoticeId::of_digest([&a, &c].into_iter()), digest);
}

#[test]
fn what_somebody_should_look_at_is_an_error() {
    let errors = Kind::ALL
        .iter()
        .filter(|kind| kind.severity() == Severity::Error);
    let errors: Vec<_> = errors.map(|kind| kind.as_str()).collect();
    let names = [Severity::Error, Severity::Warning, Severity::Info].map(Severity::as_str);
    assert_eq!(names, ["error", "warning", "info"]);
    assert_eq!(
        errors,
        [
            "failed", "stalled", "ended", "vanished", "reminder", "missing"
        ]
    );
}

/// The text of the setting is written by hand.
#[test]
fn what_can_be_selected_is_what_the_setting_says() {
    let setting = VARIABLES.iter().find(|it| it.name == "NOTIFY_ON").unwrap();
    let mut names: Vec<_> = Kind::choices().map(Kind::as_str).collect();
    let rule = setting.rule.replace(" and ", ", ");
    assert!(rule.contains(&names.join(", ")), "{rule}");
    // A cancellation is somebody's own doing.
    names.retain(|name| *name != "canceled");
    assert_eq!(setting.default, Some(names.join(",").as_str()));
}
