// Rules for the scripts of the report; the review script uses what the decisions script defines.
const browser = ["window", "document", "localStorage", "navigator", "URL", "Blob", "atob", "setTimeout", "ResizeObserver"];

export default [
  {
    files: ["**/*.js"],
    languageOptions: {
      ecmaVersion: 2024,
      sourceType: "script",
      globals: Object.fromEntries([...browser, "Decisions"].map((name) => [name, "readonly"])),
    },
    rules: {
      "no-undef": "error",
      "no-unused-vars": ["error", { varsIgnorePattern: "^Decisions$" }],
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
];
