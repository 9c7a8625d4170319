//! The one table from failure to gRPC status, as TorchServe's clients know it.

use axum::http::StatusCode;
use tonic::{Code, Status};

use crate::error::Failure;

/// The code that stands for an HTTP status.
fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::Aborted,
        413 | 429 => Code::ResourceExhausted,
        416 => Code::OutOfRange,
        499 => Code::Cancelled,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ if status.is_success() => Code::Ok,
        _ if status.is_client_error() => Code::FailedPrecondition,
        _ if status.is_server_error() => Code::Internal,
        _ => Code::Unknown,
    }
}

/// The HTTP status under which a call is counted and traced.
pub(super) fn over_http(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument
        | Code::Unauthenticated
        | Code::PermissionDenied
        | Code::NotFound
        | Code::AlreadyExists
        | Code::Aborted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Cancelled
        | Code::ResourceExhausted => StatusCode::BAD_REQUEST,
        Code::Unimplemented
        | Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::DataLoss
        | Code::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The failure of a request that is no concern of TorchServe's clients: its code and its text.
pub(super) fn of_request(failure: Failure) -> Status {
    let code = match failure.status {
        StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
        status => code(status),
    };
    Status::new(code, failure.message)
}

/// The failure of managing a workflow, which no client of TorchServe's does: as that of a request, but for what there is
/// already.
pub(super) fn of_workflow(failure: Failure) -> Status {
    let code = match failure.status {
        StatusCode::CONFLICT => Code::AlreadyExists,
        StatusCode::FORBIDDEN => Code::FailedPrecondition,
        StatusCode::METHOD_NOT_ALLOWED => Code::PermissionDenied,
        _ => return of_request(failure),
    };
    Status::new(code, failure.message)
}

/// The failure of a prediction. TorchServe names its exception after the text, and an unknown model is a failure within.
pub(super) fn of_prediction(failure: Failure) -> Status {
    let of_registry = ["ModelNotFoundException", "ModelVersionNotFoundException"];
    let (code, package) = if of_registry.contains(&failure.kind) {
        (Code::Internal, "org.pytorch.serve.archive.model")
    } else {
        (code(failure.status), "org.pytorch.serve.http")
    };
    let Failure { kind, message, .. } = failure;
    Status::new(code, format!("{message}\n{package}.{kind}"))
}

/// A prediction that names no model.
pub(super) fn no_model_name() -> Status {
    Status::internal("Parameter model_name is required.\nBadRequestException.()")
}

/// The failure of a management call. Some of TorchServe's are uncaught, which makes them `UNKNOWN`.
pub(super) fn of_management(failure: Failure) -> Status {
    let code = match failure.status {
        // What REST calls a method that is not allowed.
        StatusCode::METHOD_NOT_ALLOWED => {
            return Status::permission_denied("Model API disabled");
        }
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        StatusCode::CONFLICT | StatusCode::FORBIDDEN => Code::Unknown,
        _ => Code::Internal,
    };
    Status::new(code, failure.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: Status, code: Code, text: &str) {
        assert_eq!((status.code(), status.message()), (code, text));
    }

    #[test]
    fn predictions_fail_in_torchserves_words() {
        let unknown: Failure = serving::Error::ModelNotFound("x".into()).into();
        check(
            of_prediction(unknown),
            Code::Internal,
            "Model not found: x\norg.pytorch.serve.archive.model.ModelNotFoundException",
        );
        check(
            of_prediction(Failure::internal("Worker died.")),
            Code::Internal,
            "Worker died.\norg.pytorch.serve.http.InternalServerException",
        );
        check(
            of_prediction(Failure::unavailable("busy")),
            Code::Unavailable,
            "busy\norg.pytorch.serve.http.ServiceUnavailableException",
        );
        check(
            of_prediction(Failure::too_slow("late")),
            Code::FailedPrecondition,
            "late\norg.pytorch.serve.http.RequestTimeoutException",
        );
        check(
            of_prediction(Failure::bad_request("no")),
            Code::InvalidArgument,
            "no\norg.pytorch.serve.http.BadRequestException",
        );
    }

    #[test]
    fn management_fails_with_torchserves_codes() {
        let unknown: Failure = serving::Error::ModelNotFound("x".into()).into();
        check(of_management(unknown), Code::NotFound, "Model not found: x");
        check(
            of_management(Failure::method_not_allowed()),
            Code::PermissionDenied,
            "Model API disabled",
        );
        check(
            of_management(Failure::bad_request("no")),
            Code::InvalidArgument,
            "no",
        );
        check(
            of_management(Failure::unavailable("busy")),
            Code::Internal,
            "busy",
        );
    }
}
