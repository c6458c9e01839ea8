import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Map;
import java.util.function.Supplier;

/** A function for each of AWS's ways to write one in Java. */
public class Cases {
    public Map<String, Object> object(Map<String, Object> event) { return Map.of("ok", 1); }
    public Object nothing(Map<String, Object> event) { return null; }
    public void empty(Map<String, Object> event) { }
    public void stream(InputStream in, OutputStream out, Context context) throws IOException { out.write("\u0000raw".getBytes()); }
    public String thread(Map<String, Object> event) throws InterruptedException {
        Thread t = new Thread(() -> { throw new IllegalStateException("in a thread"); });
        t.start();
        t.join();
        return "done";
    }
    public String runtime(Map<String, Object> event) { throw new RuntimeException("boom", new IOException("cause")); }
    public String checked(Map<String, Object> event) throws IOException { throw new IOException("io"); }
    public String error(Map<String, Object> event) { throw new AssertionError("error"); }
    public String npe(Map<String, Object> event) { Object o = event.get("none"); return o.toString(); }
    public String overflow(Map<String, Object> event) { return overflow(event) + "x"; }
    public String memory(Map<String, Object> event) { byte[][] all = new byte[100][]; for (int i = 0; i < 100; i++) all[i] = new byte[64 << 20]; return "" + all.length; }
    public String exit(Map<String, Object> event) { System.exit(3); return null; }
    public Object loop(Map<String, Object> event) { return new Bean(); }
    public Integer number(Integer event) { return event; }
    public String large(Map<String, Object> event) { return "x".repeat(7 << 20); }
    public String logs(Map<String, Object> event, Context context) { context.getLogger().log("seen\n"); return context.getAwsRequestId().length() + " " + context.getMemoryLimitInMB(); }
    public String layered(Map<String, Object> event) throws Exception {
        return ((Supplier<?>) Class.forName("Layered").getDeclaredConstructor().newInstance()).get().toString();
    }

    public static class Bean { public Bean getSelf() { return this; } }

    public static class Interface implements RequestHandler<Map<String, Object>, String> {
        @Override public String handleRequest(Map<String, Object> event, Context context) { return "interface"; }
    }

    public static class Static {
        static { if (true) throw new IllegalStateException("static"); }
        public String handle(Map<String, Object> event) { return "never"; }
    }
}
