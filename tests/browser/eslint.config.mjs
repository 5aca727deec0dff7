// Rules for the scripts and styles of the report; the review script uses what the decisions script defines.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// the tools lie in the tests' cache beside ESLint, where an import from here would not look
const { default: css } = await import(pathToFileURL(createRequire(process.argv[1]).resolve("@eslint/css")));
const browser = ["window", "document", "localStorage", "navigator", "URL", "Blob", "atob", "setTimeout", "clearTimeout", "fetch", "Image", "ResizeObserver", "URLSearchParams", "requestAnimationFrame", "getComputedStyle"];
const own = ["Dom", "Decisions", "Forecast", "Excerpt", "Arrange", "Likeliest", "Chooser", "Zoom", "Toast", "Remote", "Queue", "Selection", "Deciding", "Keys",
  "Pictures", "Reviewers", "Progress", "Tabs", "Filters", "Listing", "Transfer", "PlaneMap", "Explore", "ClassPage", "Similar", "Card", "Address"];

export default [
  {
    files: ["**/*.js"],
    languageOptions: {
      ecmaVersion: 2024,
      sourceType: "script",
      globals: Object.fromEntries([...browser, ...own].map((name) => [name, "readonly"])),
    },
    rules: {
      "no-undef": "error",
      "no-unused-vars": ["error", { varsIgnorePattern: `^(${own.join("|")})$` }],
      "no-redeclare": ["error", { builtinGlobals: false }],
      "no-shadow": "error",
      "prefer-const": "error",
      "no-var": "error",
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map((property) => ({ property, message: "Text must stay text." })),
        { object: "document", property: "write", message: "Text must stay text." },
      ],
    },
  },
  {
    files: ["**/*.css"],
    plugins: { css },
    language: "css/css",
    rules: {
      ...css.configs.recommended.rules,
      "css/no-important": "off", // what is hidden stays hidden
      "css/use-baseline": "off", // newer properties only refine what older browsers show too
    },
  },
];
