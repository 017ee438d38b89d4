import io.gatling.commons.validation._
import io.gatling.core.Predef._

/** What must hold of every page of users. Ids are UUIDs of version 7: newer ones are greater, also as text. */
object Pages {
    /** Above every id: where a walk begins. */
    val top = "g"

    /** Descending, which leaves no room for repeats, and below what the walk has seen. */
    def newestFirst(found: Option[Seq[Any]], session: Session): Validation[Option[Seq[Any]]] = {
        val ids = found.getOrElse(Nil).map(_.toString)
        val before = session("last").asOption[String].getOrElse(top)
        (before +: ids).zip(ids).collectFirst { case (above, below) if below >= above => s"$below stands after $above" } match {
            case Some(wrong) => wrong.failure
            case None        => found.success
        }
    }

    /** Nobody of mine who belongs on this page is missing. Only a strong page can be held to that: replicas may be late. */
    def missesNobody(found: Option[Seq[Any]], session: Session): Validation[Option[Seq[Any]]] = {
        val ids = found.getOrElse(Nil).map(_.toString)
        val above = session("last").asOption[String].getOrElse(top)
        val down = if (session.contains("next")) ids.lastOption.getOrElse(top) else ""
        Visitor.mine(session).map(_.id).filter(id => id < above && id >= down).find(!ids.contains(_)) match {
            case Some(missed) => s"$missed was created before, and is skipped".failure
            case None         => found.success
        }
    }
}
