import java.util.SplittableRandom
import java.util.concurrent.atomic.AtomicLong

/** Made-up people, none twice: the n-th name depends on the seed alone, the address also on the run. */
object People {
    private val first = Vector("Ada", "Zoë", "François", "José", "Łukasz", "Jürgen", "Nguyễn", "Олена", "Δημήτρης", "愛子", "민준", "O'Brien", "Grace", "Alan", "Barbara", "Edsger")
    private val last = Vector("Lovelace", "Ångström", "Müller", "Çelik", "Łoś", "Шевченко", "Παπάς", "田中", "김", "Hopper", "Turing", "Liskov", "Dijkstra", "Ní Bhriain", "de la Cruz", "Smith-Jones")
    private val drawn = new AtomicLong

    def feeder: Iterator[Map[String, Any]] = Iterator.continually {
        val n = drawn.getAndIncrement()
        val dice = new SplittableRandom(Settings.seed * 1_000_003 + n)
        Map(
            "newName" -> s"${first(dice.nextInt(first.size))} ${last(dice.nextInt(last.size))} $n",
            "newEmail" -> s"${Settings.suite}-${Settings.run}-$n@loadtest.example.com"
        )
    }
}
