import io.gatling.core.Predef._
import io.gatling.core.structure.ChainBuilder
import io.gatling.http.Predef._
import io.gatling.http.check.HttpCheck
import io.gatling.http.protocol.HttpProtocolBuilder
import io.gatling.http.request.builder.HttpRequestBuilder

/** The API's requests, each with what its answer must be. */
object Api {
    val users = "/api/v1/users/"
    private val pageSize = 20

    val protocol: HttpProtocolBuilder = http
        .baseUrl(Settings.url)
        .acceptHeader("application/json")
        .contentTypeHeader("application/json")
        .userAgentHeader("messenger-clone-loadtest")
        .disableCaching // or Gatling would send If-None-Match
        .disableFollowRedirect
        .check(responseTimeInMillis.saveAs("millis")) // for Objective

    private val isTheUser = Seq[HttpCheck](
        jmesPath("id").is("#{id}"),
        jmesPath("name").is("#{name}"),
        jmesPath("email").is("#{email}"),
        jmesPath("created_at").is("#{createdAt}")
    )

    val create: ChainBuilder = feed(People.feeder)
        .exec(
            http("create")
                .post(users)
                .body(StringBody("""{"name":"#{newName}","email":"#{newEmail}"}"""))
                .check(
                    status.is(201),
                    headerRegex("Location", s"^$users([0-9a-f-]{36})$$").saveAs("id"),
                    jmesPath("id").is("#{id}"),
                    jmesPath("name").is("#{newName}").saveAs("name"),
                    jmesPath("email").is("#{newEmail}").saveAs("email"),
                    jmesPath("created_at").saveAs("createdAt")
                )
        )
        .exec(Record.created _)
        .exec(Visitor.keep _)

    val createTaken: HttpRequestBuilder = http("create, address taken")
        .post(users)
        .body(StringBody("""{"name":"#{name}","email":"#{email}"}"""))
        .check(status.is(409), jmesPath("status").ofType[Int].is(409))

    /** A 404 of a user that was created is a KO, as is another user, or this one as it was before. */
    def read(label: String): HttpRequestBuilder = http(label).get(s"$users#{id}").check(status.is(200)).check(isTheUser: _*)

    val readDeleted: HttpRequestBuilder = http("read, deleted").get(s"$users#{id}").check(status.is(404), jmesPath("status").ofType[Int].is(404))

    val find: HttpRequestBuilder = http("find by e-mail")
        .get(users)
        .queryParam("email", "#{email}")
        .check(
            status.is(200),
            jmesPath("length(@)").ofType[Int].is(1),
            jmesPath("[0].id").is("#{id}"),
            jmesPath("[0].name").is("#{name}"),
            jmesPath("[0].email").is("#{email}")
        )

    val findDeleted: HttpRequestBuilder =
        http("find by e-mail, deleted").get(users).queryParam("email", "#{email}").check(status.is(200), jmesPath("length(@)").ofType[Int].is(0))

    val rename: ChainBuilder = feed(People.feeder)
        .exec(Visitor.forget _) // until it is known what became of it
        .exec(
            http("update name")
                .put(s"$users#{id}")
                .body(StringBody("""{"name":"#{newName}"}"""))
                .check(
                    status.is(200),
                    jmesPath("id").is("#{id}"),
                    jmesPath("email").is("#{email}"),
                    jmesPath("created_at").is("#{createdAt}"),
                    jmesPath("name").is("#{newName}").saveAs("name")
                )
        )
        .exec(Visitor.keep _)

    val move: ChainBuilder = feed(People.feeder)
        .exec(Visitor.forget _) // until it is known what became of it
        .exec(
            http("update e-mail")
                .put(s"$users#{id}")
                .body(StringBody("""{"email":"#{newEmail}"}"""))
                .check(
                    status.is(200),
                    jmesPath("id").is("#{id}"),
                    jmesPath("name").is("#{name}"),
                    jmesPath("created_at").is("#{createdAt}"),
                    jmesPath("email").is("#{newEmail}").saveAs("email")
                )
        )
        .exec(Visitor.keep _)

    val delete: ChainBuilder = exec(Visitor.forget _)
        .exec(http("delete").delete(s"$users#{id}").check(status.is(204)))
        .exec(Record.deleted _)

    val newestPage: ChainBuilder = page("list, newest", s"$users?limit=$pageSize&offset=0")
    val pageAtOffset: ChainBuilder =
        exec(session => session.set("offset", 1 << Visitor.dice(session).nextInt(11))).exec(page("list, by offset", s"$users?limit=$pageSize&offset=#{offset}"))

    /** From page to page as the Link says, at most so many. A strong walk must meet everybody whom this visitor made. */
    def walk(pages: Int, strong: Boolean, think: ChainBuilder): ChainBuilder = {
        val label = if (strong) "walk, strong" else "walk"
        exec(_.setAll("path" -> s"$users?limit=$pageSize", "last" -> Pages.top))
            .asLongAs(session => session.contains("path") && session("page").as[Int] < pages, "page")(
                exec(_.remove("next")),
                exec(link(label, "#{path}", strong)),
                exec { session =>
                    val onward = session("next").asOption[String].fold(session.remove("path"))(session.set("path", _))
                    session("ids").as[Seq[Any]].lastOption.fold(onward)(id => onward.set("last", id.toString))
                },
                think
            )
    }

    private def page(label: String, path: String): ChainBuilder = exec(_.removeAll("last", "next")).exec(link(label, path, strong = false))

    private def link(label: String, path: String, strong: Boolean): HttpRequestBuilder = {
        val request = http(label)
            .get(path)
            .check(
                status.is(200),
                headerRegex("Link", "<([^>]*)>; rel=\"next\"").optional.saveAs("next"),
                jmesPath("length(@)").ofType[Int].lte(pageSize),
                jmesPath("[].id").ofType[Seq[Any]].validate("newest first, without repeats", Pages.newestFirst _).saveAs("ids")
            )
        if (strong) {
            request.header("Consistency", "strong").check(jmesPath("[].id").ofType[Seq[Any]].validate("misses nobody", Pages.missesNobody _))
        } else request
    }
}
