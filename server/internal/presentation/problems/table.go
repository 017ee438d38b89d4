package problems

import "net/http"

var table []*Type

// All returns the types, ordered by status.
func All() []*Type { return table }

// Find returns the type of the slug, nil if there is none.
func Find(slug string) *Type {
	for _, t := range table {
		if t.Slug == slug {
			return t
		}
	}
	return nil
}

// define adds a type to the table, so that none can be used and not be explained.
func define(slug string, status int, title, meaning, advice string) *Type {
	t := &Type{Slug: slug, Status: status, Title: title, Meaning: meaning, Advice: advice}
	table = append(table, t)
	return t
}

// The types, by status.
var (
	InvalidInput = define("invalid-input", http.StatusBadRequest, "Invalid input",
		"A field of the body, a parameter or a header has a value that is not allowed, is missing, is unknown or is given twice. Nothing was changed.",
		"Correct what the member `errors` names, field by field, and send the request again. Sent unchanged, it will fail again.")

	MalformedBody = define("malformed-body", http.StatusBadRequest, "Malformed body",
		"The body is not one JSON object in UTF-8: it is empty, cut off, followed by something else, or another kind of value. Nothing was changed.",
		"Send one JSON object, such as `{\"name\": \"Ada Lovelace\"}`. A JSON library writes it correctly; text that is put together by hand often is not.")

	MalformedRequest = define("malformed-request", http.StatusBadRequest, "Malformed request",
		"What arrived is not an HTTP request that can be understood in only one way: for example a header without a colon, no `Host`, two lengths, or a body in broken chunks. "+
			"Nothing was changed, and the connection was closed.",
		"Use an HTTP library, and look at what stands between it and the server. Sent unchanged, the request will fail again.")

	NotFound = define("not-found", http.StatusNotFound, "Not found",
		"Nothing is at this path.",
		"Compare the path with the documentation. Paths are case-sensitive; a slash at the end makes no difference.")

	UserNotFound = define("user-not-found", http.StatusNotFound, "User not found",
		"No user has this id: there never was one, or it was deleted. A deleted user's id is never given to another.",
		"Forget the id. A new user is made with `POST /api/v1/users/`.")

	MethodNotAllowed = define("method-not-allowed", http.StatusMethodNotAllowed, "Method not allowed",
		"The path exists, but not for this method. Nothing was changed.",
		"Use one of the methods that the header `Allow` lists.")

	RequestTimeout = define("request-timeout", http.StatusRequestTimeout, "Request timeout",
		"The request did not arrive completely in the time that the server waits for one. Nothing was changed, and the connection was closed.",
		"Send the whole request at once, on a new connection.")

	EmailTaken = define("email-taken", http.StatusConflict, "E-mail address taken",
		"Another user has this e-mail address. Addresses that differ only in the case of their letters are the same. Nothing was changed.",
		"Use another address, or ask for its user with `GET /api/v1/users/?email=`.")

	VersionChanged = define("version-changed", http.StatusPreconditionFailed, "Version changed",
		"The user is not of a version that `If-Match` names: somebody changed it after it was read. Nothing was changed by this request.",
		"Read the user again, decide anew, and send the request with the new `ETag`.")

	TooLarge = define("too-large", http.StatusRequestEntityTooLarge, "Body too large",
		"The body is larger than the server takes. Nothing was changed, and the connection was closed.",
		"Send a smaller body. A user takes a few hundred bytes.")

	TargetTooLong = define("target-too-long", http.StatusRequestURITooLong, "Target too long",
		"The path and query are longer than the server takes. Nothing was changed, and the connection was closed.",
		"Shorten the query. No path of this API needs more than a few hundred characters.")

	UnsupportedMediaType = define("unsupported-media-type", http.StatusUnsupportedMediaType, "Unsupported media type",
		"The body is not sent as plain JSON: `Content-Type` is missing or another, names a charset other than UTF-8, or the body is compressed. Nothing was changed.",
		"Send the header `Content-Type: application/json` and no `Content-Encoding`.")

	KeyReused = define("idempotency-key-reused", http.StatusUnprocessableEntity, "Idempotency-Key reused",
		"This `Idempotency-Key` was sent before, with another body. Nothing was changed.",
		"Draw a new key, such as a random UUID, for every new request. Only the repetition of a request has the key, and the body, of the first.")

	TooManyRequests = define("too-many-requests", http.StatusTooManyRequests, "Too many requests",
		"This client, which is told by its address, has made as many requests as the header `RateLimit-Policy` allows: `q` in `w` seconds. Nothing was changed.",
		"Send the request again, after the time in `Retry-After`. To stay within the limit, look at `RateLimit` in every answer: `r` more requests are allowed in the next `t` seconds.")

	HeadersTooLarge = define("headers-too-large", http.StatusRequestHeaderFieldsTooLarge, "Headers too large",
		"The request line and the headers are larger together than the server takes. Nothing was changed, and the connection was closed.",
		"Send fewer or shorter headers and a shorter query. Cookies that were meant for others are a frequent cause.")

	InternalError = define("internal-error", http.StatusInternalServerError, "Internal error",
		"A fault of the server's, not of the request's. A write may have happened or not.",
		"Tell the operator the member `request_id`, under which the server has logged what went wrong.")

	MethodUnknown = define("method-unknown", http.StatusNotImplemented, "Method unknown",
		"The server knows no such method, for any path. Nothing was changed.",
		"Use `GET`, `HEAD`, `POST`, `PUT`, `DELETE` or `OPTIONS`, in capitals.")

	ShardUnavailable = define("shard-unavailable", http.StatusServiceUnavailable, "Shard unavailable",
		"The users are spread over several databases, the shards, and the one that is needed here does not answer; the member `shards` names it. "+
			"Users on other shards are served. Nothing was changed.",
		"Send the request again, after the time in `Retry-After`. If it lasts, tell the operator; `GET /health` shows the state of every shard.")

	NoShard = define("no-shard", http.StatusServiceUnavailable, "No shard serves",
		"None of the databases answers, so that no user can be read or written.",
		"Wait, or use another server. `GET /health` says what is wrong with each shard.")

	OutcomeUnknown = define("outcome-unknown", http.StatusServiceUnavailable, "Outcome unknown",
		"The database was told to write and did not answer. The write may have happened, may not have, or may happen yet. This is the only problem, beside a fault of the server's, after which that is open.",
		"Read the user to see what became of it. A `POST` that had an `Idempotency-Key` can simply be sent again with the same key and body.")

	Contended = define("contended", http.StatusServiceUnavailable, "Contended",
		"Others kept changing this user, or the user of this address, while the request tried to. Nothing was changed by it.",
		"Send the request again, after the time in `Retry-After`.")

	Timeout = define("timeout", http.StatusServiceUnavailable, "Timeout",
		"The server could not answer in the time that it allows itself for a request. Nothing was changed.",
		"Send the request again, after the time in `Retry-After`.")

	Draining = define("draining", http.StatusServiceUnavailable, "Draining",
		"This server is being stopped. It finishes what it has begun and should be sent nothing more.",
		"Use another server, or wait until this one has been started again.")

	VersionUnsupported = define("version-unsupported", http.StatusHTTPVersionNotSupported, "HTTP version not supported",
		"The request is of a version of HTTP that the server does not speak. Nothing was changed, and the connection was closed.",
		"Use HTTP/1.1.")
)
