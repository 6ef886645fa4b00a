import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import software.amazon.event.ruler.JsonRuleCompiler;
import software.amazon.event.ruler.Machine;
import software.amazon.event.ruler.Patterns;

/** Reads cases, one {"pattern": text, "event": text} a line; answers each with {"refusal": text or null, "breaks" or "fits": boolean}. */
public final class Judge {
  /** Machines built for one case: enough for nearly all generated ones, few enough to take no time. */
  private static final int CHOICES_MAX = 256;

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
    var apart = together == null ? null : fitsApart(pattern, event);
    // Defects of event-ruler 2.0.1: it fails at some lists with an absence, and mixes up conditions that share a state.
    if (together == null || (apart != null && !apart.equals(together))) answer.put("breaks", true);
    else answer.put("fits", together);
  }

  /** Whether any choice of one condition a leaf fits alone, which is what a list and an $or mean. Null when there are too many. */
  private static Boolean fitsApart(String pattern, String event) throws Exception {
    List<Map<String, List<Patterns>>> choices = new ArrayList<>();
    for (var alternative : JsonRuleCompiler.compile(pattern)) {
      List<Map<String, List<Patterns>>> chosen = List.of(Map.of());
      for (var leaf : alternative.entrySet()) {
        var next = new ArrayList<Map<String, List<Patterns>>>();
        for (var before : chosen) {
          for (var condition : leaf.getValue()) {
            var one = new HashMap<>(before);
            one.put(leaf.getKey(), List.of(condition));
            next.add(one);
          }
        }
        if (next.size() > CHOICES_MAX) return null;
        chosen = next;
      }
      choices.addAll(chosen);
      if (choices.size() > CHOICES_MAX) return null;
    }
    for (var choice : choices) {
      if (Boolean.TRUE.equals(fits(machine -> machine.addPatternRule("rule", choice), event))) return true;
    }
    return false;
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
