import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import software.amazon.event.ruler.JsonRuleCompiler;
import software.amazon.event.ruler.Machine;

/** Reads cases, one {"pattern": text, "event": text} a line; answers each with {"refusal": text or null, "breaks" or "fits": boolean}. */
public final class Judge {
  public static void main(String[] arguments) throws Exception {
    var json = new ObjectMapper();
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    for (String line; (line = in.readLine()) != null; ) {
      var asked = json.readTree(line);
      var answer = json.createObjectNode();
      judge(asked.get("pattern").asText(), asked.get("event").asText(), answer);
      out.println(json.writeValueAsString(answer));
    }
    out.flush();
  }

  private static void judge(String pattern, String event, ObjectNode answer) throws Exception {
    String refusal = JsonRuleCompiler.check(pattern);
    answer.put("refusal", refusal == null ? null : refusal.lines().findFirst().orElse(""));
    if (refusal != null) return;
    Boolean together = fits(machine -> machine.addRule("rule", pattern), event);
    boolean apart = false;
    for (var alternative : JsonRuleCompiler.compile(pattern)) {
      Boolean fits = fits(machine -> machine.addPatternRule("rule", alternative), event);
      apart |= Boolean.TRUE.equals(fits);
      if (fits == null) together = null;
    }
    // Defects of event-ruler 2.0.1: it fails at some lists with an absence, or mixes up the alternatives of an $or.
    if (together == null || together != apart) answer.put("breaks", true);
    else answer.put("fits", apart);
  }

  private interface Addition {
    void to(Machine machine) throws Exception;
  }

  /** Null when event-ruler fails at adding the rule. */
  private static Boolean fits(Addition rule, String event) throws Exception {
    var machine = new Machine();
    try {
      rule.to(machine);
    } catch (NullPointerException defect) {
      return null;
    }
    return !machine.rulesForJSONEvent(event).isEmpty();
  }
}
