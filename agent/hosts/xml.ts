/** XML from tickets and scripts, which may be anything, parsed without entities, and without holding the event loop for long. */
import { XMLParser, XMLValidator } from 'fast-xml-parser';

export type ParsedXml = { ok: true; value: unknown } | { ok: false; problem: string };

/** The longest text that is looked into, in bytes. */
export const XML_LIMIT = 64 * 1024;
/**
 * Most tags, comments and the like: they are what takes time. Up to the limit of bytes, 16,000 empty elements took 40 ms and 6,000 take 15 ms. The answer with most of them, a risk analysis of 64 KiB, has 5,500.
 */
const MOST_TAGS = 6000;

const parser = new XMLParser({
  processEntities: false,
  parseTagValue: false,
  ignoreAttributes: true,
  trimValues: true,
  maxNestedTags: 50,
  isArray: (name) => ['task', 'participant_username', 'external_risk_analysis_result_for_field', 'access_request'].includes(name),
});

/** All values are texts; entities stay as they are written. */
export function parseXml(text: string): ParsedXml {
  if (text.length > XML_LIMIT) return { ok: false, problem: `is longer than ${XML_LIMIT} bytes` };
  if (countTags(text) > MOST_TAGS) return { ok: false, problem: `has more than ${MOST_TAGS} tags` };
  try {
    // The parser alone accepts elements that are never closed.
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- its successor is a package of its own with three more below it, for the same check
    const validity = XMLValidator.validate(text);
    if (validity !== true) return { ok: false, problem: `is not XML: line ${validity.err.line}: ${validity.err.msg}` };
    return { ok: true, value: parser.parse(text) };
  } catch (error) {
    return { ok: false, problem: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function countTags(text: string): number {
  let count = 0;
  for (let at = text.indexOf('<'); at >= 0 && count <= MOST_TAGS; at = text.indexOf('<', at + 1)) count += 1;
  return count;
}
