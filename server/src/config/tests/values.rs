//! What a value may look like, and what counts in place of one that does not.

use super::*;

#[test]
fn numbers_that_are_none_fall_back_with_a_warning() {
    check(
        "# sizes\njob_queue_size=many\ndefault_response_timeout=-1\nmax_connections=0\ncores=\n",
        "warning: config.properties:2: job_queue_size: expected a whole number from 1, found `many`; \
         the default 100 is used\n\
         warning: config.properties:3: default_response_timeout: expected a whole number of seconds from 0, found `-1`; \
         the default 120 is used\n\
         warning: config.properties:4: max_connections: expected a whole number from 1, found `0`; \
         the default 10000 is used\n\
         warning: config.properties:5: cores: expected a whole number from 0, found ``; the default 0 is used",
    );
    check(
        "number_of_gpu=x",
        "warning: config.properties:1: number_of_gpu: expected a whole number from 0, found `x`; it is left out",
    );
    check(
        "job_queue_size=18446744073709551615\ngrace_period=999999999999",
        "warning: config.properties:1: job_queue_size: expected a whole number from 1 to 2147483647, found \
         `18446744073709551615`; the default 100 is used\n\
         warning: config.properties:2: grace_period: expected a whole number of seconds from 0 to 315360000, found \
         `999999999999`; the default 30 is used",
    );
    let start = Start::new("--model-store store")
        .file("config.properties", "job_queue_size=many\ncores= 3 \n");
    let config = start.config();
    assert_eq!(
        (config.job_queue_size.get(), config.cores),
        (100, NonZeroUsize::new(3))
    );
}

#[test]
fn a_token_is_valid_for_minutes_with_fractions() {
    let check = |text: &str, expected: Duration| {
        let start = Start::new("--model-store store").file("config.properties", text);
        assert_eq!(start.config().token_expiration_min, expected, "{text}");
    };
    let hour = Duration::from_secs(3600);
    check("", hour);
    check("token_expiration_min=2", Duration::from_secs(120));
    check("token_expiration_min=0.25", Duration::from_secs(15));
    check("token_expiration_min=0", hour);
    check("token_expiration_min=-1", hour);
    check("token_expiration_min=1e300", Duration::MAX);
}

#[test]
fn truth_is_spelt_true() {
    for (value, expected) in [
        ("true", true),
        ("TRUE", true),
        ("false", false),
        ("yes", false),
    ] {
        let text = format!("limit_max_image_pixels={value}");
        let start = Start::new("--model-store store").file("config.properties", &text);
        assert_eq!(start.config().limit_max_image_pixels, expected, "{value}");
    }
    check(
        "prediction_content_type=yes",
        "warning: config.properties:1: prediction_content_type: expected true or false, found `yes`; taken as false",
    );
}
