package shop;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.List;
import java.util.Map;

public class Note implements RequestHandler<Map<String, Object>, Object> {
    @Override
    @SuppressWarnings("unchecked")
    public Object handleRequest(Map<String, Object> event, Context context) {
        for (Map<String, Object> record : (List<Map<String, Object>>) event.get("Records")) {
            Map<String, Object> keys = (Map<String, Object>) ((Map<String, Object>) record.get("dynamodb")).get("Keys");
            System.out.println(System.getenv("GREETING") + " " + ((Map<String, Object>) keys.get("id")).get("S"));
        }
        return null;
    }
}
