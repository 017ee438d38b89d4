import java.util.SplittableRandom

import scala.concurrent.duration._

import io.gatling.core.Predef._

/** A user of the API, as it was last answered. */
final case class Account(id: String, name: String, email: String, createdAt: String)

/** What a virtual user has in its session: the accounts it made, which nobody else touches, the one it is concerned with, and its own dice. */
object Visitor {
    private val mostAccounts = 50

    def begin(session: Session): Session =
        session.setAll("mine" -> Vector.empty[Account], "dice" -> new SplittableRandom(Settings.seed * 31 + session.userId))

    def mine(session: Session): Vector[Account] = session("mine").as[Vector[Account]]

    def dice(session: Session): SplittableRandom = session("dice").as[SplittableRandom]

    def choose(session: Session): Session = {
        val accounts = mine(session)
        turnTo(session, accounts(dice(session).nextInt(accounts.size)))
    }

    def keep(session: Session): Session = session.set("mine", (current(session) +: mine(session)).take(mostAccounts))

    def forget(session: Session): Session = session.set("mine", mine(session).filterNot(_.id == current(session).id))

    /** Between half and one and a half of the mean. */
    def think(session: Session): FiniteDuration = {
        val mean = Settings.think.toMillis
        if (mean == 0) Duration.Zero else (mean / 2 + dice(session).nextLong(mean + 1)).millis
    }

    private def turnTo(session: Session, account: Account): Session =
        session.setAll("id" -> account.id, "name" -> account.name, "email" -> account.email, "createdAt" -> account.createdAt)

    private def current(session: Session): Account =
        Account(session("id").as[String], session("name").as[String], session("email").as[String], session("createdAt").as[String])
}
