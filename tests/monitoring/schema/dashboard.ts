// What a dashboard of refit may hold: the types of @grafana/schema, with the panels and the query language that refit
// uses in the places where the schema allows anything. `Json` turns enums into the values that stand in a file.
import type * as common from "@grafana/schema";
import type * as raw from "@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen.d.ts";
import type * as bargauge from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen.d.ts";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen.d.ts";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen.d.ts";
import type * as timeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen.d.ts";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts";

type Json<T> = T extends string
  ? `${T}`
  : T extends number
    ? `${T}` extends `${infer N extends number}`
      ? N
      : number
    : T extends ReadonlyArray<infer Each>
      ? Json<Each>[]
      : T extends object
        ? { [Key in keyof T]: Json<T[Key]> }
        : T;

type Source = { type: "prometheus"; uid: "${datasource}" };

// grafana/grafana v11.6.0, packages/grafana-prometheus/src/types.ts and dataquery.ts
interface Query {
  datasource: Source;
  editorMode: "code" | "builder";
  expr: string;
  format?: "time_series" | "table" | "heatmap";
  instant: boolean;
  range: boolean;
  legendFormat: string;
  refId: string;
}

type Settings<Custom> = Json<Omit<raw.FieldConfig, "custom" | "links">> & { custom?: Custom };

interface Override {
  matcher: { id: "byName"; options: string };
  properties: Property[];
}

type Link = { title: string; url: string; targetBlank: boolean };

type Property =
  | { id: "unit"; value: string }
  | { id: "decimals"; value: number }
  | { id: "mappings"; value: Json<raw.ValueMapping>[] }
  | { id: "thresholds"; value: Json<raw.ThresholdsConfig> }
  | { id: "color"; value: Json<raw.FieldColor> }
  | { id: "links"; value: Link[] }
  | { id: "custom.lineWidth" | "custom.fillOpacity"; value: number }
  | { id: "custom.fillBelowTo"; value: string }
  | { id: "custom.hideFrom"; value: Json<common.HideSeriesConfig> };

// packages/grafana-data/src/transformations/transformers/{merge,organize}.ts
type Transformation =
  | { id: "merge"; options: {} }
  | {
      id: "organize";
      options: {
        excludeByName: Record<string, boolean>;
        includeByName: Record<string, boolean>;
        indexByName: Record<string, number>;
        renameByName: Record<string, string>;
      };
    };

type Must<T, Keys extends keyof T> = Omit<T, Keys> & Required<Pick<T, Keys>>;

interface Shown<Type extends string, Options, Custom>
  extends Must<
    Omit<Json<raw.Panel>, "type" | "options" | "fieldConfig" | "targets" | "transformations" | "datasource" | "links">,
    "id" | "title" | "description" | "gridPos"
  > {
  type: Type;
  datasource: Source;
  options: Json<Options>;
  targets: Query[];
  transformations?: Transformation[];
  fieldConfig: { defaults: Settings<Json<Partial<Custom>>>; overrides: Override[] };
}

type Panel =
  | Shown<"stat", stat.Options, never>
  | Shown<"timeseries", timeseries.Options, timeseries.FieldConfig>
  | Shown<"state-timeline", timeline.Options, timeline.FieldConfig>
  | Shown<"bargauge", bargauge.Options, never>
  | Shown<"table", table.Options, table.FieldConfig>
  | Json<raw.RowPanel>;

// packages/grafana-prometheus/src/annotations.ts
type Mark = Omit<Json<raw.AnnotationQuery>, "target" | "datasource"> & {
  datasource: Source;
  expr: string;
  step: string;
  target: { expr: string; interval: string; refId: string };
  titleFormat: string;
  textFormat: string;
  tagKeys: string;
  useValueForTime: boolean;
};

type Variable = Omit<Json<raw.VariableModel>, "query" | "datasource"> &
  ({ type: "datasource"; query: string } | { type: "query"; datasource: Source; query: { query: string; refId: string } });

export type Dashboard = Omit<Json<raw.Dashboard>, "panels" | "annotations" | "templating"> & {
  uid: string;
  title: string;
  panels: Panel[];
  annotations: { list: Mark[] };
  templating: { list: Variable[] };
};
