import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** OpenSearch, one node, from the libraries of Maven Central: Engine PORT FOLDER. */
public class Engine extends Node {
    Engine(Settings settings) {
        super(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "search"), List.of(Netty4Plugin.class), false);
    }

    public static void main(String[] args) throws Exception {
        Engine node = new Engine(Settings.builder()
            .put("path.home", args[1]).put("cluster.name", "search")
            .put("discovery.type", "single-node").put("network.host", "127.0.0.1")
            .put("http.port", args[0]).put("transport.port", "0")
            .put("http.type", "netty4").put("transport.type", "netty4")
            .build());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        node.start();
        System.out.println("OpenSearch has started on port " + args[0]);
        Thread.currentThread().join(); // until it is told to end
    }
}
