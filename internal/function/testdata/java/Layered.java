import java.util.function.Supplier;

/** A class that a layer brings. */
public class Layered implements Supplier<String> {
    @Override public String get() { return "layered"; }
}
