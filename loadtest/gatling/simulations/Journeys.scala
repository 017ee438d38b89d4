import io.gatling.core.Predef._
import io.gatling.core.structure.ChainBuilder

/** What visitors do, request by request, with time to think after each. */
object Journeys {
    private val think: ChainBuilder = pause(session => Visitor.think(session))

    private val create = exec(Api.create, think)
    private val createAndReadBack = exec(create, exec(Api.read("read, just created")), think)
    private val readMine = withMine(exec(Api.read("read")))
    private val findMine = withMine(exec(Api.find))
    private val renameMine = withMine(Api.rename)
    private val deleteMine = withMine(Api.delete)
    private val newest = exec(Api.newestPage, think)
    private val atOffset = exec(Api.pageAtOffset, think)

    /** The whole life of a user, told from answer to answer. */
    private val life = exec(
        createAndReadBack,
        exec(Api.createTaken, think, Api.find, think),
        exec(Api.rename, think, Api.read("read, just renamed"), think),
        exec(Api.move, think, Api.read("read, just moved"), think, Api.find, think),
        exec(Api.delete, think, Api.readDeleted, think, Api.findDeleted, think)
    )

    /** How a visitor begins, and what it then does again and again. */
    final case class Habit(begin: Seq[ChainBuilder], again: ChainBuilder)

    private val onceCreated = Seq(whole(createAndReadBack))

    private val enoughForPages = Seq.fill(3)(onceCreated).flatten

    val everything: Habit =
        Habit(enoughForPages, exec(whole(life), whole(readMine), whole(newest), whole(atOffset), whole(Api.walk(3, strong = false, think)), whole(Api.walk(3, strong = true, think))))

    val crud: Habit = Habit(Nil, whole(life))

    /** 100 steps of these are about 116 requests: 83 read, 33 write. */
    val mixed: Habit = Habit(
        onceCreated,
        draw(16 -> createAndReadBack, 45 -> readMine, 5 -> findMine, 10 -> renameMine, 14 -> newest, 3 -> atOffset, 7 -> deleteMine)
    )

    /** 80 % reads: by id 45, by e-mail 10, lists 25. */
    val reading: Habit =
        Habit(onceCreated, draw(10 -> create, 7 -> renameMine, 3 -> deleteMine, 45 -> readMine, 10 -> findMine, 20 -> newest, 5 -> atOffset))

    val writing: Habit = Habit(onceCreated, draw(55 -> create, 30 -> renameMine, 15 -> deleteMine))

    val creating: Habit = Habit(Nil, whole(createAndReadBack))

    val paging: Habit = Habit(
        enoughForPages,
        draw(30 -> newest, 30 -> atOffset, 25 -> Api.walk(10, strong = false, think), 10 -> Api.walk(10, strong = true, think), 5 -> createAndReadBack)
    )

    /** One short visit, of somebody who arrives and leaves: three requests. */
    val visit: ChainBuilder = whole(exec(createAndReadBack, newest))

    /** The same without time to think, and each answer is judged. */
    val judgedVisit: ChainBuilder =
        exec(judged(Api.create), doIf(session => Visitor.mine(session).nonEmpty)(judged(exec(Api.read("read, just created"))), judged(exec(Api.newestPage))))

    private def judged(request: ChainBuilder): ChainBuilder = exec(exitBlockOnFail(request), Objective.judge, exec(_.markAsSucceeded))

    /** Somebody whose every account is deleted, or failed, makes one first. */
    private def withMine(request: ChainBuilder): ChainBuilder =
        exec(doIf(session => Visitor.mine(session).isEmpty)(createAndReadBack), exec(Visitor.choose _), request, think)

    /** What fails ends what was begun, and not the visitor. */
    private def whole(chain: ChainBuilder): ChainBuilder = exec(exitBlockOnFail(chain), exec(_.markAsSucceeded))

    /** One of them by the visitor's dice, as often as its weight says. */
    private def draw(steps: (Int, ChainBuilder)*): ChainBuilder = {
        val total = steps.map(_._1).sum
        val sums = steps.map(_._1).scanLeft(0)(_ + _).tail
        exec { session =>
            val cast = Visitor.dice(session).nextInt(total)
            session.set("step", sums.indexWhere(cast < _))
        }.doSwitch("#{step}")(steps.zipWithIndex.map { case ((_, step), i) => i -> whole(step) }: _*)
    }
}
